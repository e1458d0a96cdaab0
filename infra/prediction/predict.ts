import { availableParallelism } from "node:os";
import { parseBytes } from "../../common/units.ts";
import type { Quantize, Recipe } from "../recipe/recipe.generated.ts";
import type { JobResult } from "../stage/job.ts";
import type { StageNode } from "../stage/node.ts";
import type { PlannedStage } from "../stage/planned.ts";
import { predictedSpeeds, type BoardSpeeds, type SpeedBasis, type TokenSpeed } from "./board-speeds.ts";
import { fileBytes } from "./file-size.ts";
import { serverMemory, type CacheSettings } from "./memory.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import type { Quantization } from "./quantize-types.ts";
import { standardTypeUnder } from "./standard-types.ts";
import { shapeOfConfig, shapeOfFetched, type ModelShape } from "./shape.ts";
import { stageCost, type Speed, type StageCost } from "./stage-costs.ts";
import { multipliedWeights } from "./weights.ts";

/** What a release is expected to be like. */
export interface ReleasePrediction {
  fileBytes: number;
  /** Memory of llama-server: mapped model, KV cache and buffers. */
  memoryBytes: number;
  /** On a Raspberry Pi 4, at the start of a context. */
  tokensPerSecond: number;
  /** What `tokensPerSecond` rests on. */
  basis: SpeedBasis;
}

/** A GGUF on the way to the release. */
export interface ModelPrediction extends ReleasePrediction {
  quantization: Quantization;
}

/** What is known about a recipe before anything runs. */
export interface Prediction {
  base: ModelShape;
  /** Shape of the release's model. */
  shape: ModelShape;
  release: ReleasePrediction;
  /** How fast a Raspberry Pi 4 reads a prompt with the release's model. */
  prompt: TokenSpeed;
  /** Every GGUF on the way, by stage: `convert-base`, `quantize`. */
  models: Map<string, ModelPrediction>;
  stages: Map<string, StageCost>;
  /** Of the fleet's boards. */
  boards: BoardSpeeds;
}

/** How fast the builder of a stage is. */
export type SpeedOf = (stage: Pick<StageNode, "stage" | "params">) => Speed;

/** The parts of a plan's stages that a prediction reads. */
export type PredictedStage = StageNode & Pick<PlannedStage, "artifact">;

/**
 * Predicts a recipe from its steps and the base model's shape: what `fetch` measured, where its artifact is in the
 * store, else the recipe's `base.config`.
 * @param server how llama-server is started on the hosts
 * @param boards how fast the fleet's boards are
 * @returns undefined while nothing says what shape the base has
 */
export function predict(
  recipe: Recipe,
  stages: readonly PredictedStage[],
  server: CacheSettings,
  speedOf?: SpeedOf,
  boards?: BoardSpeeds,
): Prediction | undefined {
  const fetched = stages.find(({ stage }) => stage === "fetch")?.artifact;
  const base = (fetched && shapeOfFetched(fetched)) ?? configuredShape(recipe);
  return base && predictFrom(base, stages, server, speedOf, boards);
}

/** The shape that the recipe itself says its base has; undefined where it does not. */
export function configuredShape({ base: { config } }: Recipe): ModelShape | undefined {
  return config && shapeOfConfig(config);
}

/**
 * Follows a base model of a known shape through the stages.
 * @param speedOf by default that of this machine's cores
 * @param boards by default those that nobody has measured
 */
export function predictFrom(
  base: ModelShape,
  stages: readonly StageNode[],
  server: CacheSettings,
  speedOf: SpeedOf = () => ({ cores: availableParallelism() }),
  boards: BoardSpeeds = predictedSpeeds,
): Prediction {
  const shapes = shapesOf(base, stages);
  const models = new Map<string, ModelPrediction>();
  const costs = new Map<string, StageCost>();
  for (const { name, stage, params, inputs } of stages) {
    const before = shapes.get(inputs.model ?? "") ?? base;
    const after = shapes.get(name) ?? base;
    const quantization = quantizationOf({ stage, params, inputs }, after, models);
    if (quantization)
      models.set(name, { ...predictRelease(after, quantization, server, boards), quantization });
    costs.set(name, stageCost({ stage, params, before, after, quantization }, speedOf({ stage, params })));
  }
  const release = models.get("quantize");
  if (release === undefined) throw new Error('the plan has no stage "quantize"');
  const shape = shapes.get("quantize") ?? base;
  return {
    ...{ base, shape, release, models, stages: costs, boards },
    prompt: boards.prompt(multipliedWeights(shape, release.quantization)),
  };
}

/** Shape of the release's model, from what `fetch` measured on the base. */
export function releaseShape(fetched: Pick<JobResult, "metrics">, stages: readonly StageNode[]): ModelShape {
  const base = shapeOfFetched(fetched);
  if (base === undefined) throw new Error("the artifact of `fetch` does not say the model's shape");
  return shapesOf(base, stages).get("quantize") ?? base;
}

/** Shape of the model after each stage. */
function shapesOf(base: ModelShape, stages: readonly StageNode[]): Map<string, ModelShape> {
  const shapes = new Map<string, ModelShape>();
  for (const { name, stage, params, inputs } of stages) {
    const before = shapes.get(inputs.model ?? "") ?? base;
    shapes.set(name, stage === "prune" ? prunedShape(before, params as unknown as Pruning) : before);
  }
  return shapes;
}

/** Size, memory and speed of one model. */
export function predictRelease(
  shape: ModelShape,
  quantization: Quantization,
  server: CacheSettings,
  boards: BoardSpeeds = predictedSpeeds,
): ReleasePrediction {
  const bytes = fileBytes(shape, quantization);
  return {
    fileBytes: bytes,
    memoryBytes: serverMemory(shape, bytes, server),
    ...boards.generation(multipliedWeights(shape, quantization)),
  };
}

/** The parameters of `convert` and `quantize` that decide types. */
type TypeParams = Omit<Quantize, "type"> & { type?: string };

/** Other names of llama-quantize for the same types. */
const aliases: Record<string, Quantization["type"]> = { Q3_K: "Q3_K_M", Q4_K: "Q4_K_M", Q5_K: "Q5_K_M" };

/**
 * What a stage tells llama-quantize; undefined for a stage that writes no GGUF. A search for the best mix is taken as the
 * best standard type, as is a baseline of the size of what it is compared with.
 */
export function quantizationOf(
  { stage, params, inputs }: Pick<StageNode, "stage" | "params" | "inputs">,
  shape: ModelShape,
  models: ReadonlyMap<string, ReleasePrediction>,
): Quantization | undefined {
  const imatrix = inputs.imatrix !== undefined;
  if (stage === "baseline") {
    const like = models.get(inputs.like ?? "")?.fileBytes ?? Infinity;
    return { type: standardTypeUnder(shape, like, imatrix), imatrix };
  }
  if (stage !== "convert" && stage !== "quantize") return undefined;
  const { type, objective, tensorTypes, outputTensorType, tokenEmbeddingType } = params as TypeParams;
  const named = type?.toUpperCase(); // `convert` writes its types in lower case
  return {
    type:
      named === undefined
        ? standardTypeUnder(shape, parseBytes(objective?.maxFileSize ?? "") ?? Infinity, imatrix)
        : (aliases[named] ?? (named as Quantization["type"])),
    imatrix,
    overrides: Object.entries(tensorTypes ?? {}),
    outputType: outputTensorType,
    embeddingType: tokenEmbeddingType,
  };
}
