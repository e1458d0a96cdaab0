import { availableParallelism } from "node:os";
import type { PlannedStage } from "../plan/plan.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { BlockType } from "./block-types.ts";
import { fileBytes } from "./file-size.ts";
import { serverMemory, type CacheSettings } from "./memory.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import type { Quantization } from "./quantize-types.ts";
import { standardTypeUnder } from "./standard-types.ts";
import { shapeOfConfig, shapeOfFetched, type LlamaConfig, type ModelShape } from "./shape.ts";
import { tokensPerSecond } from "./speed.ts";
import { stageCost, type StageCost } from "./stage-costs.ts";

/** What a release is expected to be like. */
export interface ReleasePrediction {
  fileBytes: number;
  /** Memory of llama-server: mapped model, KV cache and buffers. */
  ramBytes: number;
  /** On a Raspberry Pi 4, at the start of a context. */
  tokensPerSecond: number;
}

/** What is known about a recipe before anything runs. */
export interface Prediction {
  base: ModelShape;
  release: ReleasePrediction;
  /** Every GGUF on the way, by stage: `convert-base`, `quantize`. */
  models: Map<string, ReleasePrediction>;
  stages: Map<string, StageCost>;
}

/** The parts of a plan's stages that a prediction reads. */
export type PredictedStage = Pick<PlannedStage, "name" | "stage" | "params" | "inputs" | "artifact">;

/**
 * Predicts a recipe from its steps and the base model's shape: what `fetch` measured, where its artifact is in the
 * store, else the recipe's `base.config`.
 * @param server how llama-server is started on the hosts
 * @param cores of the builder
 * @returns undefined while nothing says what shape the base has
 */
export function predict(
  recipe: Recipe,
  stages: readonly PredictedStage[],
  server: CacheSettings,
  cores = availableParallelism(),
): Prediction | undefined {
  const base = baseShape(recipe, stages);
  if (base === undefined) return undefined;
  const shapes = new Map<string, ModelShape>();
  const quantizations = new Map<string, Quantization>();
  const models = new Map<string, ReleasePrediction>();
  const costs = new Map<string, StageCost>();
  for (const { name, stage, params, inputs } of stages) {
    const before = shapes.get(inputs.model ?? "") ?? base;
    const after = stage === "prune" ? prunedShape(before, params as unknown as Pruning) : before;
    const quantization =
      stage === "convert" || stage === "quantize"
        ? quantizationOf(after, params, inputs.imatrix !== undefined)
        : quantizations.get(inputs.model ?? "");
    shapes.set(name, after);
    if (quantization) quantizations.set(name, quantization);
    if (quantization && (stage === "convert" || stage === "quantize"))
      models.set(name, predictRelease(after, quantization, server));
    costs.set(name, stageCost({ stage, params, before, after, quantization }, cores));
  }
  const release = models.get("quantize");
  if (release === undefined) throw new Error('the plan has no stage "quantize"');
  return { base, release, models, stages: costs };
}

/** Size, memory and speed of one model. */
export function predictRelease(
  shape: ModelShape,
  quantization: Quantization,
  server: CacheSettings,
): ReleasePrediction {
  const bytes = fileBytes(shape, quantization);
  return {
    fileBytes: bytes,
    ramBytes: serverMemory(shape, bytes, server),
    tokensPerSecond: tokensPerSecond(shape, quantization),
  };
}

function baseShape(recipe: Recipe, stages: readonly PredictedStage[]): ModelShape | undefined {
  const fetched = stages.find(({ stage }) => stage === "fetch")?.artifact;
  const measured = fetched && shapeOfFetched(fetched);
  return measured ?? (recipe.base.config && shapeOfConfig(recipe.base.config as unknown as LlamaConfig));
}

/** The parameters of `convert` and `quantize` that decide types. */
interface TypeParams {
  type?: string;
  tensorTypes?: Record<string, BlockType>;
  outputTensorType?: BlockType;
  tokenEmbeddingType?: BlockType;
  target?: { bytes?: number };
}

/** Other names of llama-quantize for the same types. */
const aliases: Record<string, Quantization["type"]> = { Q3_K: "Q3_K_M", Q4_K: "Q4_K_M", Q5_K: "Q5_K_M" };

/** What a step's parameters tell llama-quantize. A search for the best mix is taken as the best standard type. */
function quantizationOf(shape: ModelShape, params: TypeParams, imatrix: boolean): Quantization {
  // `convert` writes its types in lower case.
  const named = params.type?.toUpperCase();
  return {
    type:
      named === undefined
        ? standardTypeUnder(shape, params.target?.bytes ?? Infinity, imatrix)
        : (aliases[named] ?? (named as Quantization["type"])),
    imatrix,
    overrides: Object.entries(params.tensorTypes ?? {}),
    outputType: params.outputTensorType,
    embeddingType: params.tokenEmbeddingType,
  };
}
