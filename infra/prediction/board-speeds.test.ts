import { describe, expect, it } from "vitest";
import { describeBasis, predictedSpeeds, speedsOf } from "./board-speeds.ts";
import { measuredRow } from "./testing/rows.ts";
import { llama8B, smolLM2 } from "./testing/shapes.ts";
import { multipliedWeights, type MultipliedWeights } from "./weights.ts";

const other = multipliedWeights(llama8B, { type: "Q3_K_M", imatrix: false });
const third = multipliedWeights(smolLM2, { type: "Q8_0", imatrix: false });
const predicted = (kind: "generation" | "prompt", weights: MultipliedWeights): number =>
  predictedSpeeds[kind](weights).tokensPerSecond;
/** A row whose speeds are so many times what is predicted. */
const rowOf = (weights: MultipliedWeights, generation: number, prompt: number, host = "pi-1") => ({
  ...measuredRow,
  host,
  weights,
  generation: generation * predicted("generation", weights),
  prompt: prompt * predicted("prompt", weights),
});

describe("the speeds of boards", () => {
  it("are predicted where nothing was measured", () => {
    expect(predictedSpeeds.generation(measuredRow.weights).basis).toEqual({ kind: "predicted" });
  });

  it("are what was measured, of just that model, the last time", () => {
    const { generation, prompt } = speedsOf([{ ...measuredRow, generation: 0.1, prompt: 0.1 }, measuredRow]);
    const basis = { kind: "measured", host: "pi-1" };
    expect(generation(measuredRow.weights)).toEqual({ tokensPerSecond: 0.7, basis });
    expect(prompt(measuredRow.weights)).toEqual({ tokensPerSecond: 1.6, basis });
  });

  it("are scaled by the geometric mean of all rows, generation and prompts apart", () => {
    const { generation, prompt } = speedsOf([
      rowOf(measuredRow.weights, 0.5, 2),
      rowOf(third, 2 * 0.64, 2 * 0.64),
    ]);
    const basis = { kind: "scaled", host: "pi-1", rows: 2 };
    expect(generation(other).basis).toEqual(basis);
    expect(generation(other).tokensPerSecond / predicted("generation", other)).toBeCloseTo(0.8);
    expect(prompt(other).basis).toEqual(basis);
    expect(prompt(other).tokensPerSecond / predicted("prompt", other)).toBeCloseTo(1.6);
  });

  it("are those of the slowest board, for each figure", () => {
    const { generation, prompt } = speedsOf([rowOf(third, 0.9, 0.7, "pi-1"), rowOf(third, 0.8, 0.9, "pi-2")]);
    expect(generation(other).basis).toEqual({ kind: "scaled", host: "pi-2", rows: 1 });
    expect(prompt(other).basis).toEqual({ kind: "scaled", host: "pi-1", rows: 1 });
    expect(generation(third).basis).toEqual({ kind: "measured", host: "pi-2" });
  });
});

describe("describeBasis", () => {
  it.each([
    [{ kind: "predicted" } as const, "a model, not a measurement"],
    [{ kind: "measured", host: "pi-1" } as const, "measured on pi-1"],
    [
      { kind: "scaled", host: "pi-1", rows: 1 } as const,
      "predicted, scaled by what was measured on 1 row of pi-1",
    ],
    [
      { kind: "scaled", host: "pi-1", rows: 3 } as const,
      "predicted, scaled by what was measured on 3 rows of pi-1",
    ],
  ])("says of %j that it is %s", (basis, text) => {
    expect(describeBasis(basis)).toBe(text);
  });
});
