import { describe, expect, it } from "vitest";
import { divergence, expectedLoss } from "./quality.ts";

describe("expectedLoss", () => {
  const pruned = { method: "ffn-second-order", refitted: true, removed: 0.16, recovers: true };

  it("is the type's, where nothing is pruned", () => {
    expect(expectedLoss("Q4_K_M")).toBe(divergence.Q4_K_M);
    expect(expectedLoss("Q4_0")).toBe(Infinity);
  });

  it("lies between what was measured, and goes on beyond it", () => {
    const lossAt = (removed: number): number => expectedLoss("Q8_0", { ...pruned, removed });
    expect(lossAt(0.1)).toBeLessThan(lossAt(0.16));
    expect(lossAt(0.16)).toBeLessThan(lossAt(0.2));
    expect(lossAt(0.4) - lossAt(0.35)).toBeCloseTo(lossAt(0.35) - lossAt(0.3), 5);
  });

  it("is larger without recovery, and much larger without a refit", () => {
    const loss = expectedLoss("Q8_0", pruned);
    expect(expectedLoss("Q8_0", { ...pruned, recovers: false })).toBeGreaterThan(loss);
    expect(expectedLoss("Q8_0", { ...pruned, refitted: false })).toBeGreaterThan(1.3 * loss);
  });
});
