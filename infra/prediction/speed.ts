import { dotProductCycles, isQuantized, type BlockType } from "./block-types.ts";
import { fittedBoard } from "./board.generated.ts";
import { CYCLES_PER_SECOND, type Board } from "./board.ts";
import { sum, tensorBytes } from "./file-size.ts";
import { typesOf, type Quantization } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";
import type { Tensor } from "./tensors.ts";

/** Tokens of the prompt whose reading is predicted, as in llama-bench's `pp512`. */
const PROMPT_TOKENS = 512;

/** What one generated token takes. */
export interface GenerationWork {
  /** Bytes and counted cycles of each tensor that a token is multiplied with. */
  tensors: readonly (readonly [bytes: number, cycles: number])[];
  layers: number;
}

/** A token embedding that is not also the output matrix costs one row. */
export function generationWork(shape: ModelShape, quantization: Quantization): GenerationWork {
  const multiplied = matrices(shape, quantization).filter(
    ([{ part }]) => part !== "token_embd" || shape.tied,
  );
  return {
    tensors: multiplied.map(([tensor, type]) => [
      tensorBytes(tensor, type),
      dotProductCycles(type, weightsOf(tensor)),
    ]),
    layers: shape.layers,
  };
}

/**
 * Tokens per second that a board generates at the start of a context: of every tensor, either the bytes come from memory or
 * the cores are at work, whichever takes longer.
 */
export function generationSpeed({ tensors, layers }: GenerationWork, board: Board["generation"]): number {
  const { bytesPerSecond, cycleFactor, secondsPerLayer } = board;
  const seconds = tensors.map(([bytes, cycles]) =>
    Math.max(bytes / bytesPerSecond, (cycleFactor * cycles) / CYCLES_PER_SECOND),
  );
  return 1 / (sum(seconds) + secondsPerLayer * layers);
}

/** Tokens per second that a Raspberry Pi 4 generates at the start of a context. */
export function tokensPerSecond(shape: ModelShape, quantization: Quantization): number {
  return generationSpeed(generationWork(shape, quantization), fittedBoard.generation);
}

/** What one token of a prompt takes, on average over the prompt; cycles are those of one core. */
export interface PromptWork {
  /** Counted cycles of the products with quantized weights. */
  counted: number;
  /** Quantized weights, and those that are plain numbers. */
  weights: number;
  plainWeights: number;
  /** Products of attention. */
  attention: number;
}

/** Of a prompt of 512 tokens; the output matrix is for the last one alone. */
export function promptWork(shape: ModelShape, quantization: Quantization): PromptWork {
  const multiplied = matrices(shape, quantization).filter(
    ([{ part }]) => part !== "token_embd" && part !== "output",
  );
  const blocks = multiplied.filter(([, type]) => isQuantized(type));
  const plain = multiplied.filter(([, type]) => !isQuantized(type));
  return {
    counted: sum(blocks.map(([tensor, type]) => dotProductCycles(type, weightsOf(tensor)))),
    weights: sum(blocks.map(([tensor]) => weightsOf(tensor))),
    plainWeights: sum(plain.map(([tensor]) => weightsOf(tensor))),
    // Half of the prompt is before a token, and each of that is multiplied with twice: as key and as value.
    attention: shape.layers * shape.heads * shape.headDim * PROMPT_TOKENS,
  };
}

/**
 * Tokens per second that a board reads of a prompt: arithmetic, not memory, is what that takes, because weights are unpacked
 * again for every token.
 */
export function promptSpeed(work: PromptWork, board: Board["prompt"]): number {
  const { cycleFactor, cyclesPerWeight, cyclesPerPlainWeight, cyclesPerAttention } = board;
  return (
    CYCLES_PER_SECOND /
    (cycleFactor * work.counted +
      cyclesPerWeight * work.weights +
      cyclesPerPlainWeight * work.plainWeights +
      cyclesPerAttention * work.attention)
  );
}

/** Tokens per second that a Raspberry Pi 4 reads of a prompt of 512 tokens. */
export function promptTokensPerSecond(shape: ModelShape, quantization: Quantization): number {
  return promptSpeed(promptWork(shape, quantization), fittedBoard.prompt);
}

/** Three significant figures at most: the model is good for no more. */
export function formatSpeed(tokensPerSecond: number): string {
  return tokensPerSecond < 10 ? tokensPerSecond.toFixed(2) : tokensPerSecond.toFixed(0);
}

function matrices(shape: ModelShape, quantization: Quantization): [Tensor, BlockType][] {
  return typesOf(shape, quantization).filter(([{ rows }]) => rows > 0);
}

function weightsOf({ columns, rows }: Tensor): number {
  return columns * rows;
}
