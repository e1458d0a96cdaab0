import { describe, expect, it } from "vitest";
import type { Recipe } from "../recipe/recipe.ts";
import { stageGraph } from "./graph.ts";

const recipe: Recipe = {
  name: "r",
  base: { source: { path: "/m" } },
  texts: {},
  steps: {
    prune: {},
    recover: {},
    convert: { type: "f16" },
    imatrix: {},
    quantize: { type: "Q4_K_M" },
    evaluate: {},
  },
  golden: { prompt: "p", expect: "e", maxTokens: 8 },
  server: { context: 512, threads: 4, parallel: 1, minTokensPerSecond: 0 },
};

/** `name <- inputs` of every node, for reading at a glance. */
const edges = (steps: Partial<Recipe["steps"]>): string[] =>
  stageGraph({ ...recipe, steps: { ...recipe.steps, ...steps } }).map(({ name, inputs }) =>
    `${name} <- ${Object.values(inputs).join(" ")}`.trim(),
  );

describe("stageGraph", () => {
  it("measures the model at every point of its way, and lists each stage after its inputs", () => {
    expect(edges({})).toEqual([
      "fetch <-",
      "fetch-text <-",
      "convert-base <- fetch",
      "evaluate-base <- convert-base fetch-text",
      "prune <- fetch fetch-text",
      "convert-pruned <- prune",
      "evaluate-pruned <- convert-pruned fetch-text",
      "recover <- prune fetch fetch-text",
      "convert <- recover",
      "evaluate-recovered <- convert fetch-text",
      "imatrix <- convert fetch-text",
      "quantize <- convert imatrix",
      "evaluate <- quantize fetch-text",
    ]);
  });

  it("quantizes the base itself when a recipe neither prunes nor recovers", () => {
    expect(edges({ prune: undefined, recover: undefined, imatrix: undefined })).toEqual([
      "fetch <-",
      "fetch-text <-",
      "convert <- fetch",
      "evaluate-base <- convert fetch-text",
      "quantize <- convert",
      "evaluate <- quantize fetch-text",
    ]);
  });

  it("names the pruned model's measurement so when nothing recovers it", () => {
    expect(edges({ recover: undefined })).toContain("evaluate-pruned <- convert fetch-text");
  });

  it("still measures the base when a recipe trains without pruning", () => {
    expect(edges({ prune: undefined })).toContain("evaluate-base <- convert-base fetch-text");
  });

  it("trains and measures the unpruned model too where the recipe asks for a control, with the same parameters", () => {
    const steps = { ...recipe.steps, recover: { tokens: 1024, control: true } };
    const nodes = stageGraph({ ...recipe, steps });
    expect(edges({ recover: steps.recover }).filter((edge) => edge.includes("control"))).toEqual([
      "recover-control <- fetch fetch fetch-text",
      "convert-control <- recover-control",
      "evaluate-control <- convert-control fetch-text",
    ]);
    // `control` is the plan's: asking for one leaves the key of the recovery as it is.
    for (const name of ["recover", "recover-control"])
      expect(nodes.find((node) => node.name === name)?.params).toEqual({ tokens: 1024 });
    expect(edges({ recover: { control: false } }).join()).not.toContain("control");
  });

  it("scales weights for quantization after recovery and before conversion", () => {
    expect(edges({ awq: {} }).slice(7, 10)).toEqual([
      "recover <- prune fetch fetch-text",
      "awq <- recover fetch-text",
      "convert <- awq",
    ]);
    expect(edges({ prune: undefined, recover: undefined, awq: {} })).toContain("awq <- fetch fetch-text");
  });
});
