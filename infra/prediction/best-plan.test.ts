import { describe, expect, it } from "vitest";
import { stageGraph } from "../plan/graph.ts";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { compareWithBest } from "./best-plan.ts";
import { configuredShape, predictFrom } from "./predict.ts";
import type { HostMemory } from "./host-settings.ts";

const recipe = loadRecipe("llama-3.1-8b-pruned");
const { prune, quantize, ...otherSteps } = recipe.steps;

function comparison(changed: Recipe, hosts: HostMemory[] = []): string | undefined {
  const base = configuredShape(changed);
  if (base === undefined) throw new Error("the recipe says no shape");
  return compareWithBest(changed, predictFrom(base, stageGraph(changed), changed.server), [
    { server: changed.server, hosts },
  ]);
}

describe("compareWithBest", () => {
  it("knows nothing better within the limits than what it proposes for them", () => {
    const proposed = comparison(recipe);
    expect(proposed).toMatch(
      /prune: \{ method: angular-distance, pruningRatio: 0.02 \}, quantize.type: Q3_K_M/,
    );
    const steps = {
      ...recipe.steps,
      prune: { ...prune, method: "angular-distance", pruningRatio: 0.02 },
      quantize: { ...quantize, type: "Q3_K_M" },
    };
    expect(comparison({ ...recipe, steps } as Recipe)).toBe(
      "none is expected to lose clearly less within the limits",
    );
  });

  it("says so where a plain quantization should beat the recipe", () => {
    const sizeAlone = { ...recipe, limits: { maxFileSize: "3.99 GB" } };
    expect(comparison(sizeAlone)).toMatch(
      /^less loss is expected, within the limits, of: no pruning, quantize.type: IQ3_M \(3.78 GB, .* tokens\/s\)$/,
    );
  });

  it("says so where another method should", () => {
    const unrefitted = {
      ...{ ...recipe, limits: {} },
      steps: { ...recipe.steps, prune: { ...prune, method: "ffn-activation", reconstruct: false } },
    } as Recipe;
    expect(comparison(unrefitted)).toMatch(/of: prune: \{ method: ffn-second-order, /);
  });

  it("compares with what is no larger and no slower where there are no limits", () => {
    expect(comparison({ ...recipe, limits: {} })).toMatch(
      /^less loss is expected, at no larger size and no lower speed, of: .*quantize.type: Q3_K_M/,
    );
  });

  it("proposes nothing that a known host has no memory for", () => {
    const speedAlone = { ...recipe, limits: { minTokensPerSecond: 0.4 } };
    expect(comparison(speedAlone)).toContain("no pruning, quantize.type: Q8_0");
    expect(
      comparison(speedAlone, [{ name: "pi-0", where: "pipress:hosts[0]", memoryBytes: 8 * 2 ** 30 }]),
    ).toContain("no pruning, quantize.type: Q6_K");
  });

  it("says nothing of a recipe that misses its limits, which is refused", () => {
    expect(comparison({ ...recipe, limits: { maxFileSize: "3.5 GB" } })).toBeUndefined();
  });

  it("says nothing of types whose loss only measuring tells", () => {
    const steps = { ...otherSteps, quantize: { objective: { maxFileSize: "4 GB" } } };
    expect(comparison({ ...recipe, steps })).toBeUndefined();
    const overridden = {
      ...recipe.steps,
      quantize: { ...quantize, tensorTypes: { ffn_down: "Q6_K" as const } },
    };
    expect(comparison({ ...recipe, steps: overridden })).toBeUndefined();
  });
});
