import { fileBytes } from "./file-size.ts";
import { cachedValues } from "./memory.ts";
import { awqOperations, pruneOperations, recoverOperations } from "./operations.ts";
import type { Quantization } from "./quantize-types.ts";
import { multipliedParameters, parameterCount, type ModelShape } from "./shape.ts";

/** What stages cost on a builder, per core. For other models the figures are scaled by operations and bytes. */
const builder = {
  /**
   * Floating-point operations per second and core in PyTorch and in llama.cpp. Of `prune` and `awq` at the width of Llama 3.1
   * 8B: 3.6e10 and 4.9e10 on an AMD EPYC at 2.4 GHz, 1.2e11 and 1.7e11 on a Xeon with AVX-512 (`npm run bench:8b`). Small
   * models keep a core less busy: 2.5e10 to 5e10 in `recover` on SmolLM2-135M.
   */
  flopsPerCore: 4e10,
  /** Weights per second and core that llama-quantize brings to Q4_K_M: 1.2e8 in 7.7 s on a Xeon at 2.8 GHz. */
  quantizedWeightsPerCore: 8e6,
  /** Bytes of weights per second that one process reads, changes a little, and writes. */
  copiedBytesPerSecond: 1e8,
  /** Assumed: nobody can know a user's line. */
  downloadedBytesPerSecond: 2.5e7,
  /** Seconds until a stage of PyTorch or the converter has begun its work, and until one of llama.cpp has. */
  pythonStartSeconds: 20,
  llamaStartSeconds: 3,
};

/**
 * What models/pipress/stages/add_chats.py does on a GPU: answers of so many tokens, so many side by side, and what a
 * conversation takes with its question. Drawing one token of all of them takes the time to read the weights and to launch a
 * thousand small kernels, assumed for an 8B.
 */
const chats = { answerTokens: 160, sideBySide: 128, tokens: 300, tokenSeconds: 0.06 };

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
  /** Types of the GGUF that it writes or reads; undefined for stages on model folders, and for a model that is ready. */
  quantization: Quantization | undefined;
  /** Of a model that is ready. */
  bytes?: number;
}

/** Weights in safetensors are kept in two bytes. */
const STORED_BYTES = 2;
/** Two operations per weight and token. */
const FORWARD = 2;

/** Of `evaluate`: kinds in models/pipress/evaluation/questions.py, and tokens of a question and its answer with SmolLM2. */
const QUESTION_KINDS = 5;
const QUESTION_TOKENS = 50;

/** Of English text, about. */
const CHARACTERS_PER_TOKEN = 4;

/** How fast a builder is. */
export interface Speed {
  cores: number;
  /** Operations per second of its GPU; without one its cores compute. */
  flops?: number;
}

/** Hours and disk of a stage on a builder. Stages without a rule here cost what their start costs. */
export function stageCost(
  { stage, params, before, after, quantization, bytes: readyBytes = 0 }: CostedStage,
  { cores, flops: gpuFlops }: Speed,
): StageCost {
  const hasGpu = gpuFlops !== undefined;
  const flops = gpuFlops ?? builder.flopsPerCore * cores;
  const number = (name: string): number => Number(params[name] ?? 0);
  const multiplied = multipliedParameters(before);
  const folder = STORED_BYTES * parameterCount(after) + before.tokenizerBytes;
  const file = quantization ? fileBytes(after, quantization) : 0;
  const copied = (bytes: number): number => bytes / builder.copiedBytesPerSecond;
  // Of stages in PyTorch or the converter, and of those in llama.cpp.
  const inPython = (seconds: number): number => builder.pythonStartSeconds + seconds;
  const inLlama = (seconds: number): number => builder.llamaStartSeconds + seconds;
  const computed = (folders: number, operations: number): StageCost => ({
    seconds: inPython(copied(folders * folder) + operations / flops),
    bytes: folder,
  });

  const quantizing = parameterCount(before) / (builder.quantizedWeightsPerCore * cores);

  switch (stage) {
    case "fetch":
      return { seconds: inPython(folder / builder.downloadedBytesPerSecond + copied(folder)), bytes: folder };
    case "fetch-gguf":
      return {
        seconds: inLlama(readyBytes / builder.downloadedBytesPerSecond + copied(readyBytes)),
        bytes: readyBytes,
      };
    case "add-chats": {
      const tokens = 1.5 * number("tokens"); // a quarter for evaluation, and one for what is held back
      const batches = Math.ceil(tokens / (chats.tokens * chats.sideBySide));
      const answering = hasGpu
        ? batches * chats.answerTokens * chats.tokenSeconds
        : (FORWARD * multiplied * tokens) / flops;
      return { seconds: inPython(copied(folder) + answering), bytes: 0 };
    }
    case "prune":
      return computed(2, pruneOperations(params, before, after));
    case "recover": {
      const cost = computed(3, recoverOperations(params, before));
      // Where it knows the type, all weights are quantized every now and then.
      const passes = params.quantize === undefined ? 0 : refreshes(params);
      return { ...cost, seconds: cost.seconds + passes * quantizing };
    }
    case "awq":
      return computed(2, awqOperations(params, before));
    case "convert":
      return { seconds: inPython(copied(file)), bytes: file };
    case "quantize":
    case "baseline":
      return { seconds: inLlama(quantizing), bytes: file };
    case "imatrix":
    case "evaluate": {
      const asked = QUESTION_KINDS * number("questions") * QUESTION_TOKENS;
      const tokens = number("chunks") * number("contextLength") + asked;
      return { seconds: inLlama((FORWARD * multiplied * tokens) / flops), bytes: 0 };
    }
    case "system-prompt": {
      const tokens = String(params.prompt).length / CHARACTERS_PER_TOKEN;
      const bytes = Math.round(STORED_BYTES * cachedValues(after, tokens));
      return { seconds: inLlama((FORWARD * multiplied * tokens) / flops), bytes };
    }
    case "report":
      return { seconds: 2, bytes: 0 };
    default:
      return { seconds: inPython(0), bytes: 0 };
  }
}

/** How often recovery quantizes all weights: `refreshes` from the start on, and at every look at held-back text, once a step. */
function refreshes(params: Record<string, unknown>): number {
  const even = (count: number, intervals: number): number[] =>
    Array.from({ length: count }, (_, index) => index / intervals);
  const [anew, looks] = [Number(params.refreshes), Number(params.validations)];
  return new Set([...even(anew, anew), ...even(looks, looks - 1)]).size;
}
