import { describe, expect, it } from "vitest";
import { mergeResults } from "./results.ts";
import type { Row } from "./rows.ts";

const run = { date: "2026-11-23", commit: "abc", machine: "a machine" };
const row = (name: string, value: number): Row => ({ case: name, metric: "kld", value, unit: "nats" });

describe("mergeResults of a section", () => {
  const bench = "compression";
  const settings = { chunks: 40 };
  const pruning = { bench, section: "pruning", settings, ...run };
  const before = mergeResults(undefined, { ...pruning, rows: [row("a", 1), row("b", 2)] });

  it("replaces what is measured anew and keeps the rest", () => {
    const after = mergeResults(before, { ...pruning, rows: [row("b", 3)] });
    expect(after.rows.map(({ case: name, value }) => [name, value])).toEqual([
      ["a", 1],
      ["b", 3],
    ]);
    const both = mergeResults(after, { ...pruning, section: "recovery", rows: [row("a", 4)] });
    expect(both.rows.map(({ section }) => section)).toEqual(["pruning", "pruning", "recovery"]);
    expect(both.sections).toEqual({ pruning: { ...run, settings }, recovery: { ...run, settings } });
  });

  it("tells what an earlier run measured from what this one did", () => {
    const later = { ...pruning, date: "2026-11-24", commit: "def" };
    const after = mergeResults(before, { ...later, rows: [row("b", 3)] });
    const last = mergeResults(after, { ...later, date: "2026-11-25", rows: [row("c", 4)] });
    expect(after.rows.map((one) => one.run)).toEqual([run, undefined]);
    expect(last.rows.map((one) => one.run?.date)).toEqual(["2026-11-23", "2026-11-24", undefined]);
  });

  it("keeps no figure beside another peer than the best one", () => {
    const first = mergeResults(undefined, { ...pruning, rows: [{ ...row("a", 1), baseline: "weak" }] });
    const after = mergeResults(first, { ...pruning, rows: [{ ...row("a", 1), baseline: "strong" }] });
    expect(after.rows.map(({ baseline }) => baseline)).toEqual(["strong"]);
  });

  it("drops what was measured by other settings", () => {
    const other = { ...pruning, settings: { chunks: 12 }, rows: [row("b", 3)] };
    expect(mergeResults(before, other).rows).toHaveLength(1);
  });
});

describe("mergeResults of a whole bench", () => {
  it("keeps cases that were not measured, with the run that they are of", () => {
    const before = mergeResults(undefined, { bench: "8b", ...run, rows: [row("prune", 1), row("awq", 2)] });
    const after = mergeResults(before, { bench: "8b", ...run, date: "2026-11-24", rows: [row("awq", 3)] });
    expect(after).toEqual({
      bench: "8b",
      ...run,
      date: "2026-11-24",
      rows: [{ ...row("prune", 1), run }, row("awq", 3)],
    });
  });
});
