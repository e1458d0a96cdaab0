import { describe, expect, it } from "vitest";
import { loadRecipe } from "../recipe/recipe.ts";
import { graphOptions } from "./forecast.ts";

const small = loadRecipe("smollm2-135m");
const llama = loadRecipe("llama-3.1-8b");

describe("graphOptions", () => {
  it("tells the report what is predicted of every model it measures", () => {
    const predicted = graphOptions(small).reportParams?.predicted as Record<
      string,
      { type: string; fileBytes: number }
    >;
    expect(Object.keys(predicted)).toEqual([
      "evaluate-base",
      "evaluate-pruned",
      "evaluate-recovered",
      "evaluate",
      "evaluate-baseline",
      "evaluate-baseline-speed",
    ]);
    expect(predicted.evaluate?.type).toBe("Q4_K_M");
    expect(predicted.evaluate?.fileBytes).toBeCloseTo(96351296, -4);
  });

  it("adds no baseline of equal speed where none is that fast, and names the fastest", () => {
    const { equalSpeedType, reportParams } = graphOptions(llama);
    expect(equalSpeedType).toBeUndefined();
    expect(reportParams?.fastestBaseline).toMatchObject({ type: expect.stringMatching(/^I?Q/) as string });
  });

  it("has nothing to say while nobody knows the base model's shape", () => {
    expect(graphOptions({ ...llama, base: { source: {} } })).toEqual({});
  });
});
