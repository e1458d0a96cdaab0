import { describe, expect, it } from "vitest";
import { stageGraph } from "../plan/graph.ts";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { families } from "./families.ts";
import { configuredShape, predictFrom } from "./predict.ts";
import { compareWithSibling } from "./siblings.ts";
import type { ModelShape } from "./shape.ts";

function sibling(recipe: Recipe): string | undefined {
  return compareWithSibling(
    recipe,
    predictFrom(configuredShape(recipe) as ModelShape, stageGraph(recipe), recipe.server),
  );
}

const llama = loadRecipe("llama-3.1-8b");
const quantizedTo = (type: string): string | undefined =>
  sibling({ ...llama, steps: { ...llama.steps, recover: undefined, quantize: { type } } } as Recipe);

describe("compareWithSibling", () => {
  it("says how much faster a smaller model is, and what the makers say of both", () => {
    expect(quantizedTo("Q4_K_M")).toMatch(
      /^llama-3.2-3b in Q4_K_M writes about 1.73 tokens\/s, 2.\d times as fast; its makers report 63.4 % in MMLU against 69.4 % for Llama 3.1 8B, both unquantized$/,
    );
    expect(sibling(loadRecipe("smollm2-1.7b"))).toMatch(
      /^smollm2-360m in Q8_0 writes about 8.\d\d tokens\/s, 2.\d times as fast; .* 52.1 % in HellaSwag against 66.1 % for SmolLM2 1.7B/,
    );
  });

  it("says that it is expected to be better where the larger one is quantized or pruned to pieces", () => {
    // 45 % in MMLU, as 43.5 of 65.2 was measured; a 3B of the same speed has about 63.
    expect(quantizedTo("IQ2_XXS")).toMatch(
      /^llama-3.2-3b in \w+ is as fast \(about \d.\d\d tokens\/s\) and expected to be better: about 6[23] % in MMLU \(± \d\) against 4[56] % \(± \d\)$/,
    );
    expect(sibling(loadRecipe("llama-3.1-8b-pruned"))).toContain("expected to be better");
  });

  it("compares with a still smaller one where only that is as fast", () => {
    const prune = { ...loadRecipe("llama-3.1-8b-pruned").steps.prune, pruningRatio: 0.65 };
    const halved = {
      ...llama,
      steps: { ...llama.steps, recover: undefined, prune, quantize: { type: "Q2_K" } },
    };
    expect(sibling(halved as Recipe)).toMatch(/^llama-3.2-1b in \w+ is as fast .* expected to be better/);
  });

  it("states the facts of a search, whose loss nobody knows before", () => {
    const steps = { ...llama.steps, recover: undefined, quantize: { objective: { maxFileSize: "2.5 GB" } } };
    expect(sibling({ ...llama, steps } as Recipe)).toContain("its makers report");
  });

  it("says nothing of the smallest, and of families that it does not know", () => {
    expect(sibling(loadRecipe("llama-3.2-1b"))).toBeUndefined();
    expect(sibling(loadRecipe("mistral-7b"))).toBeUndefined();
  });
});

describe("families", () => {
  it("go from the largest to the smallest, in size and score", () => {
    for (const { members } of families) {
      const scores = members.map(({ score }) => score);
      expect(scores).toEqual([...scores].sort((a, b) => b - a));
      for (const { recipe } of members) expect(configuredShape(loadRecipe(recipe))).toBeDefined();
    }
  });
});
