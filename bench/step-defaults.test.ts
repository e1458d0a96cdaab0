import { describe, expect, it } from "vitest";
import { loadRecipe } from "../infra/recipe/recipe.ts";
import { withDefaults } from "./step-defaults.ts";

const recipe = loadRecipe("smollm2-135m");

describe("withDefaults", () => {
  it("fills in what a recipe leaves out, so that a changed default is another key", () => {
    expect(withDefaults(recipe, "prune", { pruningRatio: 0.1 })).toMatchObject({
      calibrationTokens: 32768,
    });
    expect(() => withDefaults(recipe, "prune", { pruningRatio: 2 })).toThrow("bench: prune takes no");
  });
});
