import { describe, expect, it } from "vitest";
import { prunedShape } from "../../infra/prediction/pruned-shape.ts";
import { shapeOfConfig } from "../../infra/prediction/shape.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { parseOptions } from "./options.ts";
import { partNames, partsOf, pruningOf, rowName } from "./parts.ts";

describe("partsOf", () => {
  const parts = partsOf(loadRecipe("llama-3.1-8b-pruned"), loadRecipe("llama-3.1-8b"));

  it("takes the whole model through the recipe, and two layers of its true width through the rest", () => {
    expect(parts.map(({ name }) => name)).toEqual(partNames);
    expect(parts.map(({ config }) => config.num_hidden_layers)).toEqual([32, 32, 2, 2, 32]);
    expect(parts.map(({ steps }) => Object.keys(steps))).toEqual([
      ["prune", "convert", "quantize"],
      ["convert", "quantize"],
      ["prune"],
      ["awq"],
      ["prune", "recover"],
    ]);
  });

  it("recovers for ten steps on a GPU", () => {
    const recover = parts.find(({ gpu }) => gpu)?.steps.recover;
    expect(Number(recover?.tokens) / Number(recover?.batchSize) / Number(recover?.sequenceLength)).toBe(10);
  });

  it("leaves the recipe's FFN width everywhere", () => {
    const widths = parts.map((part) => {
      const pruning = pruningOf(part);
      return pruning && prunedShape(shapeOfConfig(part.config), pruning).ffnSize;
    });
    expect(widths).toEqual([11008, undefined, 11008, undefined, 11008]);
  });
});

describe("rowName", () => {
  it("says how was pruned", () => {
    const parts = partsOf(loadRecipe("llama-3.1-8b-pruned"), loadRecipe("llama-3.1-8b"));
    expect(parts.flatMap((part) => Object.keys(part.steps).map((stage) => rowName(part, stage)))).toEqual([
      "prune by ffn-activation",
      "convert",
      "quantize",
      "convert, unpruned",
      "quantize, unpruned",
      "prune by ffn-second-order, refitted, 2 layers",
      "awq, 2 layers",
      "prune by ffn-second-order, refitted on a GPU",
      "recover on a GPU",
    ]);
  });
});

describe("parseOptions", () => {
  it("takes every part that needs no GPU where it is told nothing", () => {
    expect(parseOptions([])).toEqual({ only: ["release", "unpruned", "prune", "awq"] });
  });

  it("takes fewer layers for the recipe's stages alone", () => {
    expect(parseOptions(["--layers", "2"])).toMatchObject({ only: ["release"], layers: 2 });
    expect(() => parseOptions(["--only", "awq", "--layers", "2"])).toThrow(/is of the part release alone/);
  });

  it("names every mistake at once", () => {
    expect(() => parseOptions(["--only", "awk", "--layers", "1"])).toThrow(
      /--only awk: .*"release"\|"unpruned".*\n.*--layers 1: .*>=2/,
    );
    expect(() => parseOptions(["--task", "a"])).toThrow(/--task: is of one part/);
    expect(() => parseOptions(["--fast"])).toThrow(/Unknown option '--fast'/);
  });
});
