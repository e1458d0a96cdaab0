import { describe, expect, it } from "vitest";
import { formatFigure, resultsTable, rowsOf } from "./rows.ts";

describe("rowsOf", () => {
  it("sets each figure beside the same one of the baseline, where that has one", () => {
    const figures = { file_bytes: 90, seconds: 3, peak_gpu_bytes: undefined };
    expect(rowsOf("prune", figures, { name: "prediction", figures: { seconds: 2 } })).toEqual([
      { case: "prune", metric: "file_bytes", value: 90, unit: "bytes" },
      {
        case: "prune",
        metric: "seconds",
        value: 3,
        unit: "s",
        baseline: "prediction",
        baselineValue: 2,
        ratio: 1.5,
      },
    ]);
  });
});

it.each([
  [929_000.4, "", "929,000"],
  [31.0049, "", "31.00"],
  [0, "nats", "0.0000"],
  [9.26, "s", "9.3 s"],
  [191.2, "s", "3 min 11 s"],
  [10_729.8, "tokens/s", "10,730 tokens/s"],
  [129_170_933, "bytes/s", "129 MB/s"],
])("formats %d %s as %s", (value, unit, text) => {
  expect(formatFigure(value, unit)).toBe(text);
});

it("prints a figure, its baseline and their ratio in one line", () => {
  const baseline = { name: "AWS CLI", figures: { put_bytes_per_second: 2e6 } };
  expect(resultsTable(rowsOf("4.00 GB", { put_bytes_per_second: 1e6 }, baseline))).toMatch(
    /4\.00 GB .* 1\.00 MB\/s .* AWS CLI .* 2\.00 MB\/s .* 0\.500/,
  );
});
