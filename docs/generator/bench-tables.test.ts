import { beforeEach, describe, expect, it, vi } from "vitest";
import { readResults } from "../../bench/results.ts";
import { rowsOf } from "../../bench/rows.ts";
import { benchTables } from "./bench-tables.ts";

vi.mock("../../bench/results.ts", async (original) => ({ ...(await original()), readResults: vi.fn() }));

const run = { date: "2026-11-28", commit: "abc", machine: "AMD EPYC Processor, 2 cores, 24 GiB" };
const baseline = { name: "a bare Pulumi program", figures: { seconds: 2.31 } };
const rows = rowsOf("no change", { seconds: 6.02 }, baseline);

function measured(...benches: string[]): void {
  const runs = (bench: string) => (benches.includes(bench) ? [{ ...run, rows }] : []);
  vi.mocked(readResults).mockImplementation(runs);
}

describe("figures of a bench that has not run", () => {
  beforeEach(() => {
    measured("8b");
  });

  it("are named as missing among the runs and in the table of `up`", () => {
    expect(benchTables.up?.()).toBe("Not measured yet.");
    expect(benchTables.runs?.()).toContain("| `bench:up` | not yet | – | – |");
  });

  it("are an error in a table of others", () => {
    expect(() => benchTables.store?.()).toThrow('no result has figures for "upload"');
  });
});

describe("figures of a bench that has run", () => {
  beforeEach(() => {
    measured("up");
  });

  it("stand beside what they are compared with", () => {
    expect(benchTables.up?.().split("\n").at(-1)).toBe("| no change | 6.0 s | 2.3 s | 2.61 |");
  });

  it("are listed with date, commit and machine", () => {
    expect(benchTables.runs?.()).toContain("| `bench:up` | 2026-11-28 | abc | AMD EPYC, 2 cores, 24 GiB |");
  });
});
