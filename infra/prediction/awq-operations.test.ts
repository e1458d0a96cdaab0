import { describe, expect, it } from "vitest";
import { awqOperations } from "./awq-operations.ts";
import { llama8B } from "./testing/shapes.ts";

const params = { calibrationTokens: 2048, gridPoints: 20 };

describe("awqOperations", () => {
  it("grow with the text and with the exponents tried", () => {
    const twice = awqOperations({ ...params, calibrationTokens: 4096 }, llama8B);
    expect(twice / awqOperations(params, llama8B)).toBe(2);
    expect(
      awqOperations({ ...params, gridPoints: 40 }, llama8B) / awqOperations(params, llama8B),
    ).toBeCloseTo(2, 1);
  });

  it("count the output of attention only where no value feeds several heads", () => {
    const perLayer = (shape: typeof llama8B) =>
      (awqOperations(params, shape) - awqOperations({ ...params, gridPoints: 0 }, shape)) /
      (2 * 2048 * 20 * 32);
    expect(perLayer(llama8B)).toBe(2 * 4096 * 128 * 40 + 4 * 4096 * 14336);
    expect(perLayer({ ...llama8B, kvHeads: 32 })).toBe(5 * 4096 * 4096 + 4 * 4096 * 14336);
  });
});
