import { awqOperations } from "./awq-operations.ts";
import { builder } from "./builder-costs.ts";
import { fileBytes } from "./file-size.ts";
import { pruneOperations } from "./prune-operations.ts";
import type { Quantization } from "./quantize-types.ts";
import { multipliedParameters, parameterCount, type ModelShape } from "./shape.ts";

/** Time and disk of one stage. */
export interface StageCost {
  seconds: number;
  /** What its artifact takes in the store. */
  bytes: number;
}

/** A stage as costs need it: parameters as the recipe's schema has them, and the model that goes in and comes out. */
export interface CostedStage {
  stage: string;
  params: Record<string, unknown>;
  before: ModelShape;
  after: ModelShape;
  /** Types of the GGUF that it writes or reads; undefined for stages on model folders. */
  quantization: Quantization | undefined;
}

/** Weights in safetensors are kept in two bytes. */
const STORED_BYTES = 2;
/** Forward: two operations per weight and token. Backward to activations alone, the weights being frozen: two more. */
const FORWARD = 2;
const FORWARD_AND_BACKWARD = 4;

/** How fast a builder is. */
export interface Speed {
  cores: number;
  /** Operations per second of its GPU; without one its cores compute. */
  flops?: number;
}

/** Hours and disk of a stage on a builder, of which at least the cores are known. Stages without a rule here cost what their start costs. */
export function stageCost(
  { stage, params, before, after, quantization }: CostedStage,
  speed: Speed | number,
): StageCost {
  const { cores, flops = builder.flopsPerCore * cores }: Speed =
    typeof speed === "number" ? { cores: speed } : speed;
  const number = (name: string): number => Number(params[name] ?? 0);
  const multiplied = multipliedParameters(before);
  const folder = STORED_BYTES * parameterCount(after) + before.tokenizerBytes;
  const computed = (operations: number): number => operations / flops;
  const copied = (bytes: number): number => bytes / builder.copiedBytesPerSecond;
  const start = builder.pythonStartSeconds;

  switch (stage) {
    case "fetch":
      return {
        seconds: start + folder / builder.downloadedBytesPerSecond + copied(folder),
        bytes: folder,
      };
    case "prune":
      return {
        seconds: start + copied(2 * folder) + computed(pruneOperations(params, before, after)),
        bytes: folder,
      };
    case "recover": {
      const perToken = (FORWARD + FORWARD_AND_BACKWARD) * multiplied; // the teacher's and the student's
      return { seconds: start + copied(3 * folder) + computed(perToken * number("tokens")), bytes: folder };
    }
    case "awq":
      return {
        seconds: start + copied(2 * folder) + computed(awqOperations(params, before)),
        bytes: folder,
      };
    case "convert": {
      const bytes = quantization ? fileBytes(after, quantization) : 0;
      return { seconds: start + copied(bytes), bytes };
    }
    case "quantize":
    case "baseline":
      return {
        seconds:
          builder.llamaStartSeconds + parameterCount(before) / (builder.quantizedWeightsPerCore * cores),
        bytes: quantization ? fileBytes(after, quantization) : 0,
      };
    case "imatrix":
    case "evaluate":
      return {
        seconds:
          builder.llamaStartSeconds +
          computed(FORWARD * multiplied * number("chunks") * number("contextLength")),
        bytes: 0,
      };
    case "report":
      return { seconds: 2, bytes: 0 };
    default:
      return { seconds: start, bytes: 0 };
  }
}
