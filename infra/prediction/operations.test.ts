import { describe, expect, it } from "vitest";
import { awqOperations, pruneOperations, recoverOperations } from "./operations.ts";
import { multipliedParameters } from "./shape.ts";
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

  it("counts every candidate that a mix cuts, most of them on all of the text", () => {
    const one = operations({ method: "ffn-second-order", reconstruct: true, calibrationTokens: 32768 });
    const mix = operations({ method: "mixed", reconstruct: true, calibrationTokens: 32768 });
    expect(mix / one).toBeGreaterThan(7);
    expect(mix / one).toBeLessThan(10);
    const few = { reconstruct: true, calibrationTokens: 2048 };
    expect(operations({ method: "mixed", ...few }) / operations({ method: "ffn-second-order", ...few })).toBe(
      13,
    );
  });

  it("counts the walk that finds how wide each layer should be", () => {
    const uniform = { method: "ffn-second-order", reconstruct: true, calibrationTokens: 8192 };
    const ratio = operations({ ...uniform, ffnWidths: "per-layer" }) / operations(uniform);
    expect(ratio).toBeGreaterThan(1.5);
    expect(ratio).toBeLessThan(3.5);
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

describe("recoverOperations", () => {
  const params = { tokens: 1e6, epochs: 1, validations: 5, validationTokens: 4096 };
  const perToken = (changes: object, shape = llama8B): number => {
    const recover = { ...params, validations: 0, ...changes };
    return recoverOperations(recover, shape) / recover.tokens / (2 * multipliedParameters(shape));
  };

  it("asks the teacher once a token, and the student forwards and backwards", () => {
    expect(perToken({})).toBe(3);
    expect(perToken({ gradientCheckpointing: true })).toBe(4);
    expect(perToken({ validations: 10, validationTokens: 1e5 })).toBe(4);
  });

  it("spares the teacher what is read again, where what it said could be kept", () => {
    expect(perToken({ epochs: 4 })).toBe(2.25);
    expect(perToken({ epochs: 4, tokens: 30e6 })).toBe(3);
    expect(perToken({ epochs: 4, tokens: 30e6 }, before)).toBe(3);
    expect(perToken({ epochs: 8, tokens: 30e6 }, before)).toBe(2.125);
  });
});
