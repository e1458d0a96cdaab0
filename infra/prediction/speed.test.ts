import { describe, expect, it } from "vitest";
import type { QuantizeType } from "./quantize-types.ts";
import { predictedSpeeds } from "./board-speeds.ts";
import { llama8B, smolLM2 } from "./testing/shapes.ts";
import { multipliedWeights } from "./weights.ts";

// How near predictions are to measurements is in bench/speed-model.
const generation = (type: QuantizeType, shape = llama8B): number =>
  predictedSpeeds.generation(multipliedWeights(shape, { type, imatrix: true })).tokensPerSecond;
const prompt = (type: QuantizeType, shape = llama8B): number =>
  predictedSpeeds.prompt(multipliedWeights(shape, { type, imatrix: true })).tokensPerSecond;

describe("generation", () => {
  it("is the faster the smaller the file, down to 3-bit K types", () => {
    expect(generation("Q8_0")).toBeLessThan(generation("Q4_K_M"));
    expect(generation("Q4_K_M")).toBeLessThan(generation("Q3_K_M"));
    expect(generation("Q3_K_M")).toBeLessThan(generation("Q3_K_S"));
  });

  it("is held back by arithmetic in 3-bit i-quants", () => {
    expect(generation("IQ3_M")).toBeLessThan(generation("Q3_K_M"));
  });

  it("counts an embedding only where it is the output matrix too", () => {
    const tied = { ...llama8B, tied: true };
    expect(generation("Q4_0", tied) / generation("Q4_0")).toBeCloseTo(1, 2);
  });
});

describe("prompts", () => {
  it("is about twice that of generation, or less, because weights are unpacked for every token", () => {
    for (const type of ["Q4_K_M", "Q3_K_M", "Q8_0"] as const) {
      expect(prompt(type)).toBeGreaterThan(generation(type));
      expect(prompt(type) / generation(type)).toBeLessThan(4.5);
    }
  });

  it("goes by the weights of the layers: a small model reads faster", () => {
    expect(prompt("Q4_0", smolLM2)).toBeGreaterThan(20 * prompt("Q4_0"));
  });
});
