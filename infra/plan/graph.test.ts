import { describe, expect, it } from "vitest";
import type { Recipe } from "../recipe/recipe.ts";
import { stageGraph, upstreamOf } from "./graph.ts";

/** No more of each step than its graph depends on. */
const recipe = {
  name: "r",
  base: { source: { path: "/m" } },
  datasets: { calibration: [], evaluation: [] },
  chats: { share: 0, tokens: 1024 },
  steps: {
    prune: { method: "ffn-activation", pruningRatio: 0.1 },
    recover: {},
    convert: { type: "f16" },
    imatrix: {},
    quantize: { type: "Q4_K_M" },
    evaluate: {},
  },
  smokeTest: { prompt: "p", expect: "e", maxTokens: 8 },
  server: { contextLength: 512, threads: 4, parallel: 1, minTokensPerSecond: 0 },
} as unknown as Recipe;

type Steps = { [Step in keyof Recipe["steps"]]?: object | undefined };

const withSteps = (steps: Steps): Recipe => ({ ...recipe, steps: { ...recipe.steps, ...steps } }) as Recipe;

/** `name <- inputs` of every node, for reading at a glance. */
const edges = (steps: Steps): string[] =>
  stageGraph(withSteps(steps)).map(({ name, inputs }) =>
    `${name} <- ${Object.values(inputs).join(" ")}`.trim(),
  );

describe("stageGraph", () => {
  it("reads system prompts with the release's model, and the report does not wait for them", () => {
    const params = { prompt: "p" };
    const nodes = stageGraph(recipe, { systemPrompts: [{ name: "system-prompt-main", params }] });
    expect(nodes.at(-1)).toEqual({
      name: "system-prompt-main",
      stage: "system-prompt",
      params,
      inputs: { model: "quantize" },
    });
    expect(nodes.slice(0, -1)).toEqual(stageGraph(recipe));
  });

  it("measures the model at every point of its way, and lists each stage after its inputs", () => {
    expect(edges({})).toEqual([
      "fetch <-",
      "fetch-dataset <-",
      "convert-base <- fetch",
      "evaluate-base <- convert-base fetch-dataset",
      "prune <- fetch fetch-dataset",
      "convert-pruned <- prune",
      "evaluate-pruned <- convert-pruned fetch-dataset evaluate-base",
      "recover <- prune fetch fetch-dataset",
      "convert <- recover",
      "evaluate-recovered <- convert fetch-dataset evaluate-base",
      "imatrix <- convert fetch-dataset",
      "quantize <- convert imatrix",
      "evaluate <- quantize fetch-dataset evaluate-base",
      "imatrix-base <- convert-base fetch-dataset",
      "quantize-baseline <- convert-base imatrix-base quantize",
      "evaluate-baseline <- quantize-baseline fetch-dataset evaluate-base",
      expect.stringMatching(
        /^report <- fetch fetch-dataset convert-base .* quantize-baseline evaluate-baseline$/,
      ),
    ]);
  });

  it("reads documents with the base model's own chats beside them where a recipe asks for chats", () => {
    const chats = { share: 0.33, tokens: 2048 };
    const nodes = stageGraph({ ...recipe, chats });
    const added = nodes.find(({ name }) => name === "add-chats");
    expect(added).toEqual({
      ...{ name: "add-chats", stage: "add-chats", params: chats },
      inputs: { model: "fetch", datasets: "fetch-dataset" },
    });
    const readers = nodes.filter(({ inputs, name }) => "datasets" in inputs && name !== "add-chats");
    expect(readers.length).toBeGreaterThan(5);
    for (const { name, inputs } of readers) expect(inputs.datasets, name).toBe("add-chats");
  });

  it("gives each stage the parameters of its step, and every measurement the smoke test", () => {
    const steps = {
      ...{ prune: { method: "wanda" }, recover: { tokens: 1 }, awq: { grid: 2 }, convert: { type: "bf16" } },
      ...{ imatrix: { chunks: 3 }, quantize: { type: "Q4_0" }, evaluate: { chunks: 4 } },
    } as const;
    const { datasets, smokeTest } = recipe;
    for (const { name, stage, params } of stageGraph(withSteps(steps)))
      if (stage === "evaluate") expect(params, name).toEqual({ chunks: 4, smokeTest });
      else if (stage in steps) expect(params, name).toEqual(steps[stage as keyof typeof steps]);
    const [fetch, fetchDataset] = stageGraph(recipe);
    expect([fetch?.params, fetchDataset?.params]).toEqual([recipe.base, datasets]);
  });

  it("makes the unpruned model's importance matrix only where the recipe's own has one", () => {
    expect(edges({ imatrix: undefined })).toContain("quantize-baseline <- convert-base quantize");
    expect(edges({ imatrix: undefined }).join()).not.toContain("imatrix");
  });

  it("measures at equal size as the recipe says, and only what was pruned where it says nothing", () => {
    const names = (changes: Partial<Recipe>, options = {}) =>
      stageGraph({ ...recipe, ...changes }, options).map(({ name }) => name);
    const unpruned = { ...recipe.steps, prune: undefined };
    expect(names({})).toContain("evaluate-baseline");
    expect(names({ steps: unpruned } as Partial<Recipe>)).not.toContain("evaluate-baseline");
    expect(names({ baselines: false }, { equalSpeedType: "Q4_0" })).not.toContain("evaluate-baseline");
    expect(names({ baselines: false }, { equalSpeedType: "Q4_0" })).toContain("evaluate-baseline-speed");
    expect(names({})).not.toContain("evaluate-baseline-speed");
  });

  it("hands the report what was predicted of the models it measures", () => {
    const predicted = { evaluate: { type: "Q4_K_M", fileBytes: 1 } };
    expect(stageGraph(recipe, { reportParams: { predicted } }).at(-1)?.params).toEqual({
      recipe: "r",
      predicted,
    });
    expect(stageGraph(recipe).at(-1)?.params).toEqual({ recipe: "r", predicted: {} });
  });

  it("quantizes the base itself when a recipe neither prunes nor recovers", () => {
    expect(edges({ prune: undefined, recover: undefined, imatrix: undefined })).toEqual([
      "fetch <-",
      "fetch-dataset <-",
      "convert <- fetch",
      "evaluate-base <- convert fetch-dataset",
      "quantize <- convert",
      "evaluate <- quantize fetch-dataset evaluate-base",
      "report <- fetch fetch-dataset convert evaluate-base quantize evaluate",
    ]);
  });

  it("names the pruned model's measurement so when nothing recovers it", () => {
    expect(edges({ recover: undefined })).toContain("evaluate-pruned <- convert fetch-dataset evaluate-base");
  });

  it("still measures the base when a recipe trains without pruning", () => {
    expect(edges({ prune: undefined })).toContain("evaluate-base <- convert-base fetch-dataset");
  });

  it("gives the search for the best mix calibration text to measure on", () => {
    expect(edges({ quantize: { objective: { maxFileSize: "1 B" } } })).toContain(
      "quantize <- convert imatrix fetch-dataset",
    );
  });

  it("leaves the baseline out where a recipe says so", () => {
    const names = stageGraph({ ...recipe, baselines: false }).map(({ name }) => name);
    expect(names.filter((name) => name.includes("base"))).toEqual(["convert-base", "evaluate-base"]);
  });

  it("compares an unpruned result with the standard types of its size where a recipe asks for it", () => {
    const steps = { ...recipe.steps, prune: undefined, recover: undefined };
    const nodes = stageGraph({ ...recipe, steps, baselines: true });
    expect(nodes.find(({ name }) => name === "quantize-baseline")).toEqual({
      name: "quantize-baseline",
      stage: "baseline",
      params: {},
      inputs: { model: "convert", imatrix: "imatrix", like: "quantize" },
    });
    expect(nodes.map(({ name }) => name)).not.toContain("imatrix-base");
  });

  it("adds the unpruned model in a type that the plan has found to be as fast", () => {
    const nodes = stageGraph(recipe, { equalSpeedType: "IQ2_M" });
    expect(nodes.slice(-3, -1)).toMatchObject([
      { name: "quantize-baseline-speed", stage: "quantize", params: { type: "IQ2_M" } },
      { name: "evaluate-baseline-speed", stage: "evaluate", inputs: { model: "quantize-baseline-speed" } },
    ]);
  });

  it("measures every model by the base model's reference, and the base by itself", () => {
    for (const { name, stage, inputs } of stageGraph(recipe, { equalSpeedType: "Q4_0" }))
      if (stage === "evaluate")
        expect(inputs.reference).toBe(name === "evaluate-base" ? undefined : "evaluate-base");
  });

  it("trains and measures the unpruned model too where the recipe asks for a control, with the same parameters", () => {
    const recover = { tokens: 1024, control: true };
    const nodes = stageGraph(withSteps({ recover }));
    expect(edges({ recover }).filter((edge) => /^\S*control/.test(edge))).toEqual([
      "recover-control <- fetch fetch fetch-dataset",
      "convert-control <- recover-control",
      "evaluate-control <- convert-control fetch-dataset evaluate-base",
    ]);
    // `control` is the plan's: asking for one leaves the key of the recovery as it is.
    for (const name of ["recover", "recover-control"])
      expect(nodes.find((node) => node.name === name)?.params).toEqual({ tokens: 1024 });
    expect(edges({ recover: { control: false } }).join()).not.toContain("control");
  });

  it("tells recovery how the release will be quantized, and measures the same type without that", () => {
    const recover = { tokens: 1024, quantizationAware: true };
    expect(edges({ recover }).slice(5, -1)).toEqual([
      "convert-pruned <- prune",
      "evaluate-pruned <- convert-pruned fetch-dataset evaluate-base",
      "imatrix-pruned <- convert-pruned fetch-dataset",
      "recover <- prune fetch fetch-dataset convert-pruned imatrix-pruned",
      "quantize-ordinary <- convert-pruned imatrix-pruned",
      "evaluate-ordinary <- quantize-ordinary fetch-dataset evaluate-base",
      "convert <- recover",
      "evaluate-recovered <- convert fetch-dataset evaluate-base",
      "quantize <- convert imatrix-pruned",
      "evaluate <- quantize fetch-dataset evaluate-base",
      "imatrix-base <- convert-base fetch-dataset",
      "quantize-baseline <- convert-base imatrix-base quantize",
      "evaluate-baseline <- quantize-baseline fetch-dataset evaluate-base",
    ]);
    const nodes = stageGraph(withSteps({ recover }));
    const quantize = { type: "Q4_K_M" };
    expect(nodes.find(({ name }) => name === "recover")?.params).toEqual({ tokens: 1024, quantize });
    expect(nodes.find(({ name }) => name === "quantize-ordinary")?.params).toEqual(quantize);
  });

  it("recovers an unpruned model from its quantization, as a plan of its own", () => {
    const steps = { prune: undefined, recover: { tokens: 1024, quantizationAware: true } };
    expect(edges(steps).slice(2, -1)).toEqual([
      "convert-base <- fetch",
      "evaluate-base <- convert-base fetch-dataset",
      "imatrix-base <- convert-base fetch-dataset",
      "recover <- fetch fetch fetch-dataset convert-base imatrix-base",
      "quantize-ordinary <- convert-base imatrix-base",
      "evaluate-ordinary <- quantize-ordinary fetch-dataset evaluate-base",
      "convert <- recover",
      "evaluate-recovered <- convert fetch-dataset evaluate-base",
      "quantize <- convert imatrix-base",
      "evaluate <- quantize fetch-dataset evaluate-base",
    ]);
    expect(edges({ ...steps, imatrix: undefined })).toContain(
      "recover <- fetch fetch fetch-dataset convert-base",
    );
    const names = stageGraph({ ...withSteps(steps), baselines: true }).map(({ name }) => name);
    expect(names.filter((name) => name === "imatrix-base")).toHaveLength(1);
    expect(names).toContain("evaluate-baseline");
  });

  it("trains the same without knowing the type where the recipe asks for a control of that", () => {
    const recover = { tokens: 1024, quantizationAware: true, control: true };
    const nodes = stageGraph(withSteps({ recover }));
    expect(
      edges({ recover })
        .filter((edge) => /ordinary|control/.test(edge))
        .slice(0, -1),
    ).toEqual([
      "recover-ordinary <- prune fetch fetch-dataset",
      "convert-ordinary <- recover-ordinary",
      "imatrix-ordinary <- convert-ordinary fetch-dataset",
      "quantize-ordinary <- convert-ordinary imatrix-ordinary",
      "evaluate-ordinary <- quantize-ordinary fetch-dataset evaluate-base",
    ]);
    expect(nodes.find(({ name }) => name === "recover-ordinary")?.params).toEqual({ tokens: 1024 });
  });

  it("scales weights for quantization after recovery and before conversion", () => {
    expect(edges({ awq: {} }).slice(7, 10)).toEqual([
      "recover <- prune fetch fetch-dataset",
      "awq <- recover fetch-dataset",
      "convert <- awq",
    ]);
    expect(edges({ prune: undefined, recover: undefined, awq: {} })).toContain("awq <- fetch fetch-dataset");
  });
});

describe("upstreamOf", () => {
  it("tells what a release is made from apart from what only measures", () => {
    expect([...upstreamOf(stageGraph(recipe), "quantize")].sort()).toEqual([
      "convert",
      "fetch",
      "fetch-dataset",
      "imatrix",
      "prune",
      "quantize",
      "recover",
    ]);
    expect([...upstreamOf(stageGraph(recipe), "fetch")]).toEqual(["fetch"]);
  });
});
