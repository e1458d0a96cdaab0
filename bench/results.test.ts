import { describe, expect, it } from "vitest";
import { addRun } from "./results.ts";
import type { Row } from "./rows.ts";

const row = (name: string, value: number): Row => ({ case: name, metric: "kld", value, unit: "nats" });
const run = { date: "2026-11-23", commit: "abc", machine: "a machine" };
const later = { ...run, date: "2026-11-24", commit: "def" };

describe("addRun", () => {
  const pruning = { section: "pruning", settings: { chunks: 40 } };
  const first = { ...run, ...pruning, rows: [row("a", 1), row("b", 2)] };

  it("replaces what is measured anew and keeps the rest, with the run that it is of", () => {
    const second = { ...later, ...pruning, rows: [row("b", 3)] };
    const kept = { ...first, rows: [row("a", 1)] };
    expect(addRun([first], second)).toEqual([kept, second]);
    const third = { ...later, ...pruning, rows: [row("a", 4)] };
    expect(addRun([kept, second], third)).toEqual([second, third]);
  });

  it("leaves other sections as they were", () => {
    const recovery = { ...later, section: "recovery", rows: [row("a", 4)] };
    expect(addRun([first], recovery)).toEqual([first, recovery]);
  });

  it("keeps no figure beside another peer than the best one", () => {
    const weak = { ...run, ...pruning, rows: [{ ...row("a", 1), baseline: "weak" }] };
    const strong = { ...run, ...pruning, rows: [{ ...row("a", 1), baseline: "strong" }] };
    expect(addRun([weak], strong)).toEqual([strong]);
  });

  it("drops what was measured by other settings", () => {
    const other = { ...later, section: "pruning", settings: { chunks: 12 }, rows: [row("b", 3)] };
    expect(addRun([first], other)).toEqual([other]);
  });

  it("keeps cases of a bench without sections", () => {
    const whole = { ...run, rows: [row("prune", 1), row("awq", 2)] };
    const part = { ...later, rows: [row("awq", 3)] };
    expect(addRun([whole], part)).toEqual([{ ...run, rows: [row("prune", 1)] }, part]);
  });
});
