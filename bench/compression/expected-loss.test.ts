import { describe, expect, it } from "vitest";
import { leftByWidths, refittedLoss } from "../../infra/prediction/quality.ts";
import { readResults } from "../results.ts";

describe("the loss that prediction expects of pruning", () => {
  it("is what was measured last", () => {
    const rows = readResults("compression")
      .flatMap((run) => run.rows)
      .filter(({ metric }) => metric === "perplexity");
    const base = rows.find((row) => row.case === "base")?.value ?? NaN;
    const nats = (perplexity = NaN): number => Number(Math.log(perplexity / base).toFixed(3));
    const measured = (method: string): number[][] =>
      rows
        .flatMap((row) => {
          const [, asked, removed] =
            new RegExp(`^(\\d+ %), ${method} \\(([\\d.]+) %\\)$`).exec(row.case) ?? [];
          if (removed === undefined) return [];
          const recovered = rows.find((other) => other.case === `${asked}, ${method}`);
          return [[Number((Number(removed) / 100).toFixed(3)), nats(row.value), nats(recovered?.value)]];
        })
        .sort(([a = 0], [b = 0]) => a - b);
    const methods = Object.keys(refittedLoss);
    expect(refittedLoss).toEqual(Object.fromEntries(methods.map((method) => [method, measured(method)])));
  });

  it("is less by what widths of their own leave of it", () => {
    const rows = readResults("compression").flatMap((run) => (run.section === "ffn-widths" ? run.rows : []));
    const ratio = (share: string, step: string): number =>
      rows.find(({ case: name, metric }) => name === `${share}, ${step}, per layer` && metric === "kld")
        ?.ratio ?? NaN;
    const shares = [...new Set(rows.map((row) => row.case.split(",")[0] ?? ""))];
    const ofParameters = (share: string): number | undefined =>
      refittedLoss["ffn-second-order"]?.find(
        ([removed]) => `${String(Math.round(100 * removed))} %` === share,
      )?.[0];
    expect(leftByWidths).toEqual(
      shares.map((share) => [ofParameters(share), ratio(share, "pruned"), ratio(share, "recovered")]),
    );
  });
});
