import { availableParallelism } from "node:os";
import { parseBytes } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { layoutProblems } from "../recipe/layouts.ts";
import { isRecipe, type Model } from "../model/model.ts";
import type { ReadyModel } from "../model/ready-model.ts";
import type { Quantize, Recipe } from "../recipe/recipe.generated.ts";
import type { JobResult } from "../stage/job.ts";
import type { StageNode } from "../stage/node.ts";
import { fileOf } from "../store/manifest.ts";
import { predictedSpeeds, type BoardSpeeds, type SpeedBasis, type TokenSpeed } from "./board-speeds.ts";
import { fileBytes } from "./file-size.ts";
import { serverMemory, type CacheSettings } from "./memory.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import type { Quantization } from "./quantize-types.ts";
import { standardTypeUnder } from "./standard-types.ts";
import { shapeOfConfig, shapeOfFetched, type ModelShape } from "./shape.ts";
import { stageCost, type Speed, type StageCost } from "./stage-costs.ts";
import { multipliedWeights, parseWeights, type MultipliedWeights } from "./weights.ts";

/** What a release is expected to be like. */
export interface ReleasePrediction {
  fileBytes: number;
  /** Memory of llama-server: mapped model, KV cache and buffers. */
  memoryBytes: number;
  /** On a Raspberry Pi 4, at the start of a context; of an embedding model, those that it reads. */
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

const speedHere: SpeedOf = () => ({ cores: availableParallelism() });

/** The parts of a plan's stages that a prediction reads; of artifacts, what a finished job says of them too. */
export type PredictedStage = StageNode & { artifact: Pick<JobResult, "metrics" | "files"> | undefined };

/**
 * Predicts a recipe from its steps and the base model's shape: what `fetch` measured, where its artifact is in the
 * store, else the recipe's `base.config`. A model that is ready is predicted from its header, or from the catalogue.
 * @param server how llama-server is started on the hosts
 * @param boards how fast the fleet's boards are
 * @returns undefined while nothing says what shape the model has
 * @throws UserError where a step of the recipe cannot work on a model of its architecture
 */
export function predict(
  model: Model,
  stages: readonly PredictedStage[],
  server: CacheSettings,
  speedOf?: SpeedOf,
  boards?: BoardSpeeds,
): Prediction | undefined {
  const fetched = stages.find(({ name }) => name === "fetch")?.artifact;
  if (!isRecipe(model)) {
    const facts = (fetched && factsOfFetched(fetched)) ?? (model.known && factsOfKnown(model.known, model));
    return facts && predictReady(facts, stages, server, speedOf, boards);
  }
  const base = (fetched && shapeOfFetched(fetched)) ?? configuredShape(model);
  const problems = base ? layoutProblems(model, base.architecture, model.name) : [];
  if (problems.length > 0) throw new UserError(problems);
  return base && predictFrom(base, stages, server, speedOf, boards);
}

/** The same once `fetch` is done. @throws Error where its artifact does not say the model's shape */
export function predictFetched(
  model: Model,
  stages: readonly PredictedStage[],
  fetched: Pick<JobResult, "metrics" | "files">,
  server: CacheSettings,
  boards?: BoardSpeeds,
): Prediction {
  const known = stages.map((stage) => (stage.name === "fetch" ? { ...stage, artifact: fetched } : stage));
  const prediction = predict(model, known, server, undefined, boards);
  if (prediction === undefined) throw new Error("the artifact of `fetch` does not say the model's shape");
  return prediction;
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
  speedOf: SpeedOf = speedHere,
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

/** What is known of a model that is ready. */
interface ReadyFacts {
  shape: ModelShape;
  weights: MultipliedWeights;
  fileBytes: number;
}

/** What `fetch-gguf` read in the header; undefined where the artifact does not say it, or names a type that nobody knows. */
function factsOfFetched({ metrics, files }: Pick<JobResult, "metrics" | "files">): ReadyFacts | undefined {
  const shape = shapeOfFetched({ metrics });
  const [blocks, output] = [parseWeights(String(metrics.blocks)), parseWeights(String(metrics.output))];
  if (shape === undefined || blocks === undefined || output === undefined) return undefined;
  const weights = { layers: shape.layers, attentionWidth: shape.heads * shape.headDim, blocks, output };
  return { shape, weights, fileBytes: fileOf(files, "model.gguf").bytes };
}

/** What the catalogue says: as if the model were a Llama of those sizes. */
function factsOfKnown(
  { config, type, bytes }: NonNullable<ReadyModel["known"]>,
  { pooling }: Pick<ReadyModel, "pooling">,
): ReadyFacts {
  const shape = { ...shapeOfConfig(config), ...(pooling && { pooling }) };
  const weights = multipliedWeights(shape, { type: type as Quantization["type"], imatrix: false });
  return { shape, weights, fileBytes: bytes };
}

function predictReady(
  { shape, weights, fileBytes: bytes }: ReadyFacts,
  stages: readonly StageNode[],
  server: CacheSettings,
  speedOf: SpeedOf = speedHere,
  boards: BoardSpeeds = predictedSpeeds,
): Prediction {
  const costs = stages.map(({ name, stage, params }): [string, StageCost] => {
    const costed = { stage, params, before: shape, after: shape, quantization: undefined, bytes };
    return [name, stageCost(costed, speedOf({ stage, params }))];
  });
  const release = {
    fileBytes: bytes,
    memoryBytes: serverMemory(shape, bytes, server),
    ...(shape.pooling === undefined ? boards.generation(weights) : boards.prompt(weights)),
  };
  return {
    ...{ base: shape, shape, release, models: new Map(), stages: new Map(costs), boards },
    prompt: boards.prompt(weights),
  };
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
