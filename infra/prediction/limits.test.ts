import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { stageGraph } from "../plan/graph.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { predict, type PredictedStage, type Prediction } from "./predict.ts";
import { checkLimits, type HostMemory } from "./limits.ts";

const llama31Config = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
};

const recipe: Recipe = {
  name: "r",
  base: { source: {}, config: llama31Config },
  datasets: {},
  steps: {
    prune: { method: "ffn-activation", pruningRatio: 0.16, calibrationTokens: 32768 },
    recover: { tokens: 100000 },
    convert: { type: "f16" },
    imatrix: { chunks: 100, contextLength: 512 },
    quantize: { type: "Q4_K_S" },
    evaluate: { chunks: 40, contextLength: 512 },
  },
  smokeTest: { prompt: "p", expect: "e", maxTokens: 8 },
  server: { contextLength: 4096, threads: 4, parallel: 1, minTokensPerSecond: 0 },
};

const stagesOf = (changed: Recipe): PredictedStage[] =>
  stageGraph(changed).map((node) => ({ ...node, artifact: undefined }));

function predicted(changed: Recipe): Prediction {
  const prediction = predict(changed, stagesOf(changed), changed.server, 2);
  if (prediction === undefined) throw new Error("nothing was predicted");
  return prediction;
}

/** The problems of a recipe, as text; empty where there is none. */
function problems(changed: Recipe, hosts: HostMemory[] = []): string[] {
  try {
    checkLimits(changed, predicted(changed), hosts, changed.server);
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message.split("\n");
  }
}

describe("predict", () => {
  it("follows the model through the stages: base, pruned, quantized", () => {
    const { models, release } = predicted(recipe);
    expect(models.get("convert-base")?.fileBytes).toBeGreaterThan(16e9);
    expect(models.get("convert")?.fileBytes).toBeLessThan(13.6e9);
    expect(release.fileBytes).toBeLessThan(3.99e9);
    expect(release.tokensPerSecond).toBeCloseTo(0.92, 2);
  });

  it("takes the shape that fetch measured over the one in the recipe", () => {
    const stages = stagesOf(recipe);
    const artifact = {
      metrics: {
        layers: 2,
        hiddenSize: 4096,
        ffnSize: 14336,
        heads: 32,
        kvHeads: 8,
        headDim: 128,
        vocabulary: 128256,
        tied: false,
        tokenizerBytes: 1,
      },
    } as unknown as PredictedStage["artifact"];
    stages[0] = { ...(stages[0] as PredictedStage), artifact };
    expect(predict(recipe, stages, { contextLength: 4096 }, 2)?.base.layers).toBe(2);
  });

  it("predicts nothing while nobody knows the base model's shape", () => {
    const unknown = { ...recipe, base: { source: {} } };
    expect(predict(unknown, stagesOf(unknown), { contextLength: 4096 }, 2)).toBeUndefined();
  });

  it("says that recovery takes days on two cores, and what the stages leave on the disk", () => {
    const { stages } = predicted(recipe);
    expect(stages.get("recover")?.seconds).toBeGreaterThan(86400 / 2);
    expect(stages.get("prune")?.bytes).toBeGreaterThan(13e9);
    expect(stages.get("evaluate")?.bytes).toBe(0);
  });
});

describe("checkLimits", () => {
  it("says nothing of a recipe within its limits", () => {
    expect(
      problems({
        ...recipe,
        limits: { maxFileSize: "3.99 GB", maxMemory: "6 GiB", minTokensPerSecond: 0.9 },
      }),
    ).toEqual([]);
  });

  it("names every limit that is missed, and the plan that misses none", () => {
    const unpruned = {
      ...recipe,
      steps: { ...recipe.steps, prune: undefined },
      limits: { maxFileSize: "3.99 GB", minTokensPerSecond: 0.9 },
    } as Recipe;
    const found = problems(unpruned);
    expect(found).toHaveLength(2);
    expect(found[0]).toMatch(
      /^r: limits.maxFileSize: the file will have 4.69 GB, more than 3.99 GB — the nearest plan/,
    );
    expect(found[1]).toMatch(
      /^r: limits.minTokensPerSecond: a Pi 4 will generate about 0.76 tokens\/s, fewer than 0.9/,
    );
    expect(found[0]).toContain(
      "prune: { method: ffn-second-order, pruningRatio: 0.16 }, quantize.type: Q4_K_S",
    );
  });

  it("would rather quantize than prune where size is all that counts", () => {
    const [found] = problems({ ...recipe, limits: { maxFileSize: "3.9 GB" } });
    expect(found).toContain("no pruning, quantize.type: IQ3_M");
  });

  it("refuses a host that the model does not fit, with 1 GiB for the system", () => {
    const host = { name: "pi-0", memoryBytes: 5 * 2 ** 30 };
    expect(problems(recipe, [host]).join()).toMatch(
      /^host pi-0: model, KV cache and buffers will take .* the nearest plan/,
    );
    expect(problems(recipe, [{ ...host, memoryBytes: 8 * 2 ** 30 }])).toEqual([]);
  });

  it("says so when no plan can meet the limits", () => {
    const [found] = problems({ ...recipe, limits: { minTokensPerSecond: 5 } });
    expect(found).toContain("no plan meets all of them: relax a limit");
  });
});
