import { describe, expect, it } from "vitest";
import { stageGraph } from "../plan/graph.ts";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { equalSpeedType } from "./equal-speed.ts";

describe("equalSpeedType", () => {
  const llama = loadRecipe("llama-3.1-8b");
  const typeFor = (prune: object | undefined, type: string): string | undefined => {
    const recipe = {
      ...llama,
      steps: { ...llama.steps, prune, quantize: { type } },
    } as Recipe;
    return equalSpeedType(recipe, stageGraph(recipe));
  };

  it("is the unpruned type of least loss that is at least as fast", () => {
    expect(typeFor(undefined, "Q4_K_M")).toBe("Q4_K_M");
    expect(typeFor({ method: "ffn-activation", pruningRatio: 0.05 }, "Q4_K_M")).toBe("Q2_K");
  });

  it("is none where no unpruned type keeps up with the pruned model", () => {
    expect(typeFor(llama.steps.prune, "Q4_K_S")).toBeUndefined();
  });

  it("is none while nobody knows the base model's shape", () => {
    const recipe = { ...llama, base: { source: {} } };
    expect(equalSpeedType(recipe, stageGraph(recipe))).toBeUndefined();
  });
});
