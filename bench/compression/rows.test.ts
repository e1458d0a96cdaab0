import { describe, expect, it } from "vitest";
import { mergeResults, type SectionRun } from "./results.ts";
import { besideBestPeer, rowsTable, type Row } from "./rows.ts";

const measured = [
  { name: "mixed", isPeer: false, value: 40 },
  { name: "random", isPeer: true, value: 120 },
  { name: "prune-layers", isPeer: true, value: 50 },
];

describe("besideBestPeer", () => {
  it("sets ours beside the strongest peer, and peers beside nothing", () => {
    const rows = besideBestPeer("pruning", "perplexity", "", "10 %", measured);
    expect(rows[0]).toMatchObject({
      case: "10 %, mixed",
      baseline: "prune-layers",
      baselineValue: 50,
      ratio: 0.8,
    });
    expect(rows.slice(1).map(({ baseline }) => baseline)).toEqual([undefined, undefined]);
  });

  it("leaves ours alone where no peer has a figure", () => {
    const [row] = besideBestPeer("pruning", "kld", "nats", "10 %", measured.slice(0, 1));
    expect(row).toEqual({
      section: "pruning",
      case: "10 %, mixed",
      metric: "kld",
      value: 40,
      unit: "nats",
    });
  });
});

describe("rowsTable", () => {
  it("prints large perplexities without an exponent", () => {
    const rows = besideBestPeer("pruning", "perplexity", "", "30 %", [
      { name: "a", isPeer: true, value: 929_000.4 },
      { name: "b", isPeer: false, value: 31.0049 },
    ]);
    expect(rowsTable(rows)).toMatch(/a .* 929,000 .*[\s\S]*b .* 31 .* 929,000 .* 0\.000/);
  });
});

describe("mergeResults", () => {
  const run: SectionRun = {
    date: "2026-11-23",
    commit: "abc",
    machine: "a machine",
    settings: { chunks: 40 },
  };
  const row = (section: Row["section"], name: string, value: number): Row => ({
    section,
    case: name,
    metric: "kld",
    value,
    unit: "nats",
  });
  const before = mergeResults(undefined, "pruning", run, [row("pruning", "a", 1), row("pruning", "b", 2)]);

  it("replaces what is measured anew and keeps the rest", () => {
    const after = mergeResults(before, "pruning", run, [row("pruning", "b", 3)]);
    expect(after.rows.map(({ case: name, value }) => [name, value])).toEqual([
      ["a", 1],
      ["b", 3],
    ]);
    const both = mergeResults(after, "target", run, [row("target", "a", 4)]);
    expect(both.rows).toHaveLength(3);
    expect(Object.keys(both.sections)).toEqual(["pruning", "target"]);
  });

  it("tells what an earlier run measured from what this one did", () => {
    const later = { ...run, date: "2026-11-24", commit: "def" };
    const after = mergeResults(before, "pruning", later, [row("pruning", "b", 3)]);
    const last = mergeResults(after, "pruning", { ...later, date: "2026-11-25" }, [row("pruning", "c", 4)]);
    expect(after.rows.map((one) => one.run?.date)).toEqual(["2026-11-23", undefined]);
    expect(last.rows.map((one) => one.run?.date)).toEqual(["2026-11-23", "2026-11-24", undefined]);
  });

  it("keeps no figure beside another peer than the best one", () => {
    const first = mergeResults(undefined, "pruning", run, [{ ...row("pruning", "a", 1), baseline: "weak" }]);
    const after = mergeResults(first, "pruning", run, [{ ...row("pruning", "a", 1), baseline: "strong" }]);
    expect(after.rows.map(({ baseline }) => baseline)).toEqual(["strong"]);
  });

  it("drops what was measured by other settings", () => {
    const other = { ...run, settings: { chunks: 12 } };
    expect(mergeResults(before, "pruning", other, [row("pruning", "b", 3)]).rows).toHaveLength(1);
  });
});
