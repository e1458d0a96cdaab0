/** Models of other architectures than Llama: counted, pruned and predicted, or refused. */
import { describe, expect, it } from "vitest";
import { readCatalogue } from "../model/catalogue.ts";
import { stageGraph } from "../plan/graph.ts";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { fileBytes } from "./file-size.ts";
import { bestPlan, frameOf } from "./plans.ts";
import { configuredShape, predict, predictFetched } from "./predict.ts";
import { predictedSpeeds } from "./board-speeds.ts";
import { prunedShape } from "./pruned-shape.ts";
import { parameterCount, shapeOfConfig, type ModelShape } from "./shape.ts";
import { tensorsOf } from "./tensors.ts";
import { multipliedWeights } from "./weights.ts";

const { models } = readCatalogue();
const shapeAs = (name: string, architecture: string): ModelShape => ({
  ...shapeOfConfig(models[name]?.config as Parameters<typeof shapeOfConfig>[0]),
  architecture,
});
const qwen2 = shapeAs("qwen2.5-1.5b", "Qwen2ForCausalLM");
const qwen3 = shapeAs("qwen3-0.6b", "Qwen3ForCausalLM");

describe("a Llama's layout with biases or norms", () => {
  it("has the parameters that its makers count", () => {
    expect(parameterCount(qwen2)).toBe(1_543_714_304);
    expect(parameterCount(qwen3)).toBe(596_049_920);
    const vectors = tensorsOf(qwen2).filter(({ name }) => name.startsWith("blk.0.") && name.endsWith("bias"));
    expect(vectors.map(({ columns }) => columns)).toEqual([256, 1536, 256]);
    expect(tensorsOf(qwen3).filter(({ part }) => part === "attn_k_norm")).toHaveLength(28);
  });

  // What models/pipress/pruning/budget.py finds for the same models.
  it.each<[ModelShape, string, number, Partial<ModelShape>]>([
    [qwen2, "ffn-activation", 0.03, { ffnSize: 8608 }],
    [qwen2, "ffn-activation", 0.1, { ffnSize: 7680 }],
    [qwen2, "block-influence", 0.1, { layers: 25 }],
    [qwen2, "attention-groups", 0.05, { kvHeads: 1, heads: 6 }],
    [qwen3, "ffn-activation", 0.05, { ffnSize: 2720 }],
    [qwen3, "block-influence", 0.07, { layers: 25 }],
    // Seven groups of two heads divide no hidden size of 1024, and a Qwen3 does not ask that.
    [qwen3, "attention-groups", 0.03, { kvHeads: 7, heads: 14 }],
  ])("is pruned to the same sizes on both sides", (shape, method, pruningRatio, sizes) => {
    expect(prunedShape(shape, { method, pruningRatio })).toEqual({ ...shape, ...sizes });
  });

  it("is proposed what it can be made to", () => {
    const recipe = loadRecipe("qwen2.5-1.5b");
    const frame = frameOf(recipe, recipe.server, predictedSpeeds);
    const fast = { tokensPerSecond: 4 };
    const pruningOf = (base: ModelShape) => bestPlan(base, frame, fast)?.pruning?.ffnWidths;
    expect(pruningOf(qwen2)).toBe("per-layer");
    expect(pruningOf({ ...qwen2, architecture: "Qwen3ForCausalLM" })).toBeUndefined();
    const foreign = bestPlan({ ...qwen2, architecture: "Gemma2ForCausalLM" }, frame, fast);
    expect(foreign).toBeDefined();
    expect(foreign?.pruning).toBeUndefined();
  });
});

describe("an architecture of its own", () => {
  const recipe = loadRecipe("qwen2.5-1.5b");
  const base = { source: recipe.base.source };
  const stages = (of: Recipe) => stageGraph(of).map((node) => ({ ...node, artifact: undefined }));
  const shape = {
    ...{
      layers: 16,
      hiddenSize: 2048,
      ffnSize: 1024,
      heads: 16,
      kvHeads: 16,
      headDim: 128,
      vocabulary: 50304,
    },
    ...{ tied: false, tokenizerBytes: 2e6, trainedContext: 4096 },
  };
  // OLMoE 1B-7B: 64 experts, 8 of which a token takes.
  const experts = { architecture: "OlmoeForCausalLM", parameters: 6.92e9, tokenParameters: 1.18e9 };
  const fetched = { metrics: { ...shape, ...experts }, files: {} };

  it("is predicted once it is fetched, by its weights and those that a token takes", () => {
    const unknown = { ...recipe, base } as Recipe;
    const server = { contextLength: 2048 };
    expect(predict(unknown, stages(unknown), server)).toBeUndefined();
    const { release, shape: found } = predictFetched(unknown, stages(unknown), fetched, server);
    // 6.92B at nearly five bits.
    expect(release.fileBytes / 1e9).toBeCloseTo(4.2, 0);
    const dense = fileBytes(
      { ...shape, architecture: "OlmoeForCausalLM" },
      { type: "Q4_K_M", imatrix: true },
    );
    expect(release.fileBytes).toBeGreaterThan(5 * dense);
    const { blocks, output } = multipliedWeights(found, { type: "Q4_K_M", imatrix: true });
    const total = [...Object.values(blocks), ...Object.values(output)].reduce((sum, count) => sum + count, 0);
    expect(total).toBeCloseTo(1.18e9, -2);
  });

  it("is refused by steps that work on a Llama's layers, as soon as it is known", () => {
    const pruned = { ...loadRecipe("smollm2-135m"), base } as Recipe;
    expect(() => predictFetched(pruned, stages(pruned), fetched, { contextLength: 2048 })).toThrow(
      /smollm2-135m: steps\.prune: cannot work on a model of the architecture OlmoeForCausalLM, whose layers/,
    );
    expect(configuredShape(recipe)?.architecture).toBe("Qwen2ForCausalLM");
  });
});
