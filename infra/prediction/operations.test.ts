import { describe, expect, it } from "vitest";
import { awqOperations, pruneOperations } from "./operations.ts";
import { llama8B, smolLM2 as before } from "./testing/shapes.ts";

const after = { ...before, ffnSize: 1280 };
const operations = (params: object): number =>
  pruneOperations({ method: "ffn-activation", calibrationTokens: 4096, ...params }, before, after);

describe("pruneOperations", () => {
  it("is more than the text takes on its way through the blocks, twice", () => {
    expect(operations({})).toBeGreaterThan(2 * 2 * 106.2e6 * 4096);
    expect(operations({})).toBeLessThan(3.5 * 2 * 106.2e6 * 4096);
  });

  it("does not depend on the vocabulary, whose matrices take no part", () => {
    const small = { ...before, vocabulary: 1000 };
    const params = { method: "ffn-activation", calibrationTokens: 4096 };
    expect(pruneOperations(params, small, { ...small, ffnSize: 1280 })).toBe(operations({}));
  });

  it("counts the refit and the search among channels, which more text makes no dearer", () => {
    const more = (params: object) => operations(params) - operations({});
    const search = { method: "ffn-second-order" };
    expect(more(search)).toBeGreaterThan(0);
    expect(more({ reconstruct: true })).toBeGreaterThan(0);
    const twice = { calibrationTokens: 8192 };
    expect(operations({ ...search, ...twice }) - operations(twice)).toBe(more(search));
  });
});

describe("awqOperations", () => {
  const params = { calibrationTokens: 2048, gridPoints: 20 };

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
