import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { loadRecipe } from "../recipe/recipe.ts";
import { stageGraph } from "../plan/graph.ts";
import { describeRelease } from "./describe.ts";
import { checkLimits } from "./limits.ts";
import { configuredShape, predictFrom } from "./predict.ts";
import type { ModelShape } from "./shape.ts";

const names = readdirSync(join(repoRoot, "models", "recipes")).map((file) => basename(file, ".yaml"));

/** Recipes that are there for something else than the least loss: prompts that are read sooner. */
const showing = ["llama-3.1-8b-pruned"];

describe("the recipes of the repository", () => {
  it.each(names)("%s is predicted to meet its limits, and to be the best plan within them", (name) => {
    const recipe = loadRecipe(name);
    expect(recipe.name).toBe(name);
    const prediction = predictFrom(configuredShape(recipe) as ModelShape, stageGraph(recipe), recipe.server);
    const { contextLength } = recipe.server;
    const settings = [{ server: { contextLength }, hosts: [] }];
    checkLimits(recipe, prediction, settings);
    const said = describeRelease(recipe, prediction, settings);
    expect(/^ {2}plan {4}less loss/m.test(said), "preview recommends another plan").toBe(
      showing.includes(name),
    );
    const smaller = /^ {2}smaller .*expected to be better/m.test(said);
    expect(smaller, "preview recommends a smaller model").toBe(name === "llama-3.1-8b-pruned");
  });
});
