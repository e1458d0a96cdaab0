import { describe, expect, it } from "vitest";
import {
  differenceError,
  expectedLoss,
  leftByWidths,
  total,
  type Loss,
  type QuantizedTo,
} from "./quality.ts";
import { published } from "./type-losses.ts";

const q8: QuantizedTo = { type: "Q8_0", imatrix: true, aware: false, bitsPerWeight: 8.5, parameters: 8.03e9 };

describe("expectedLoss", () => {
  const pruned = {
    method: "ffn-second-order",
    refitted: true,
    removed: 0.16,
    recovers: true,
    perLayer: false,
  };

  it("is the type's, where nothing is pruned, and more of a smaller model", () => {
    const [nats, error] = published.Q4_K_M?.imatrix ?? [];
    expect(expectedLoss({ ...q8, type: "Q4_K_M" })).toEqual({
      quantizing: nats,
      pruning: 0,
      measured: error,
    });
    const small = expectedLoss({ ...q8, type: "Q4_K_M", parameters: 134.5e6 });
    expect(small.quantizing / (nats ?? 0)).toBeCloseTo(4.05, 1);
    expect(small.measured / (error ?? 0)).toBeCloseTo(4.05, 1);
  });

  it("lies between what was measured, and goes on beyond it", () => {
    const lossAt = (removed: number): number => total(expectedLoss(q8, { ...pruned, removed }));
    expect(lossAt(0.1)).toBeLessThan(lossAt(0.16));
    expect(lossAt(0.16)).toBeLessThan(lossAt(0.2));
    expect(lossAt(0.4) - lossAt(0.35)).toBeCloseTo(lossAt(0.35) - lossAt(0.3), 5);
  });

  it("is larger without recovery, much larger without a refit, and hopeless for a control", () => {
    const loss = total(expectedLoss(q8, pruned));
    expect(total(expectedLoss(q8, { ...pruned, recovers: false }))).toBeGreaterThan(loss);
    expect(total(expectedLoss(q8, { ...pruned, refitted: false }))).toBeGreaterThan(1.3 * loss);
    const perLayer = total(expectedLoss(q8, { ...pruned, perLayer: true }));
    const [fewer = NaN, more = NaN] = leftByWidths.map(([, , recovered]) => recovered);
    expect(perLayer / loss).toBeGreaterThan(fewer);
    expect(perLayer / loss).toBeLessThan(more);
    expect(total(expectedLoss(q8, { ...pruned, method: "magnitude" }))).toBeGreaterThan(4);
  });

  it("keeps of a type's loss what recovery that knows it left, by bits a weight", () => {
    const left = (bitsPerWeight: number, type: QuantizedTo["type"] = "Q3_K_M"): number =>
      expectedLoss({ ...q8, type, aware: true, bitsPerWeight }).quantizing /
      expectedLoss({ ...q8, type }).quantizing;
    expect([2, 3.18, 3.6, 4.14].map((bits) => Number(left(bits).toFixed(4)))).toEqual([
      0.4604, 0.4604, 0.5237, 0.5692,
    ]);
    expect(left(3.87)).toBeCloseTo((0.5237 + 0.5692) / 2, 3);
    expect(left(4.9)).toBeGreaterThan(left(4.14));
    expect(left(12)).toBe(1);
    expect(expectedLoss({ ...q8, type: "F16", aware: true }).quantizing).toBe(0);
  });
});

describe("differenceError", () => {
  const one: Loss = { quantizing: 0.1, pruning: 0, measured: 0.001 };
  const other: Loss = { quantizing: 0.05, pruning: 0, measured: 0.001 };

  it("is a share of what two types lose, as far as they differ", () => {
    expect(differenceError(one, other, 1, true)).toBeCloseTo(0.19 * Math.hypot(0.1, 0.05), 3);
    expect(differenceError(one, other, 0.1, true)).toBeCloseTo(differenceError(one, other, 1, true) / 10, 6);
    expect(differenceError(one, one, 0, true)).toBe(0);
  });

  it("grows with what only one of them loses by pruning, and with another method", () => {
    const [little, much] = [0.1, 0.3].map((pruning) => ({ ...one, pruning }) as Loss);
    if (little === undefined || much === undefined) throw new Error("two");
    expect(differenceError(little, much, 0, true)).toBeCloseTo(0.4 * 0.2, 6);
    expect(differenceError(little, little, 0, true)).toBe(0);
    expect(differenceError(little, little, 0, false)).toBeCloseTo(0.19 * Math.hypot(0.1, 0.1), 6);
  });
});
