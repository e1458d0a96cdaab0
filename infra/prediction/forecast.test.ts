import { describe, expect, it } from "vitest";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { graphOptions } from "./forecast.ts";

const small = loadRecipe("smollm2-135m");
const llama = loadRecipe("llama-3.1-8b-pruned");

describe("graphOptions", () => {
  it("tells the report what is predicted of every model it measures", () => {
    const predicted = graphOptions(small).reportParams?.predicted as Record<
      string,
      { type: string; fileBytes: number }
    >;
    expect(Object.keys(predicted)).toEqual([
      "evaluate-base",
      "evaluate-pruned",
      "evaluate-ordinary",
      "evaluate-recovered",
      "evaluate",
      "evaluate-baseline",
    ]);
    expect(predicted.evaluate?.type).toBe("IQ4_XS");
    expect(predicted.evaluate?.fileBytes).toBeCloseTo(83570912, -4);
    // Nothing unpruned is predicted to be that fast, so that there is none to measure.
    expect(graphOptions(small).equalSpeedType).toBeUndefined();
  });

  it("adds no baseline of equal speed where none is that fast, and names the fastest", () => {
    const prune = { ...llama.steps.prune, pruningRatio: 0.5 };
    const steps = { ...llama.steps, prune, quantize: { type: "Q2_K" } };
    const { equalSpeedType, reportParams } = graphOptions({ ...llama, steps } as Recipe);
    expect(equalSpeedType).toBeUndefined();
    expect(reportParams?.fastestBaseline).toMatchObject({ type: expect.stringMatching(/^I?Q/) as string });
  });

  it("has nothing to say while nobody knows the base model's shape", () => {
    expect(graphOptions({ ...llama, base: { source: {} } })).toEqual({});
  });
});

describe("the baseline of equal speed", () => {
  const typeFor = (prune: object | undefined, type: string): string | undefined => {
    const recipe = {
      ...llama,
      steps: { ...llama.steps, prune, quantize: { type } },
    } as Recipe;
    return graphOptions(recipe).equalSpeedType;
  };

  it("is the unpruned type of least loss that is at least as fast", () => {
    expect(typeFor(undefined, "Q4_K_M")).toBe("Q4_K_M");
    expect(typeFor({ method: "ffn-activation", pruningRatio: 0.05 }, "Q4_K_M")).toBe("IQ4_XS");
  });

  it("is none where no unpruned type keeps up with the pruned model", () => {
    expect(typeFor({ method: "ffn-activation", pruningRatio: 0.5 }, "Q2_K")).toBeUndefined();
  });
});
