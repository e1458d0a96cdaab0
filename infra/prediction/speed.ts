import { dotProductCycles, isQuantized, storedBytes, type BlockType } from "./block-types.ts";
import { CYCLES_PER_SECOND, type Board } from "./board.ts";
import { sum } from "./file-size.ts";
import type { MultipliedWeights, WeightsByType } from "./weights.ts";

/** Tokens of the prompt whose reading is predicted, as in llama-bench's `pp512`. */
const PROMPT_TOKENS = 512;

/** What one generated token takes. */
export interface GenerationWork {
  /** Bytes and counted cycles of what a token is multiplied with, by type. */
  products: readonly (readonly [bytes: number, cycles: number])[];
  layers: number;
}

export function generationWork({ layers, blocks, output }: MultipliedWeights): GenerationWork {
  const products = [...byType(blocks), ...byType(output)].map(
    ([type, weights]) => [storedBytes(type, weights), dotProductCycles(type, weights)] as const,
  );
  return { products, layers };
}

/**
 * Tokens per second that a board generates at the start of a context: of every type, either the bytes come from memory or
 * the cores are at work, whichever takes longer.
 */
export function generationSpeed({ products, layers }: GenerationWork, board: Board["generation"]): number {
  const { bytesPerSecond, cycleFactor, secondsPerLayer } = board;
  const seconds = products.map(([bytes, cycles]) =>
    Math.max(bytes / bytesPerSecond, (cycleFactor * cycles) / CYCLES_PER_SECOND),
  );
  return 1 / (sum(seconds) + secondsPerLayer * layers);
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
export function promptWork({ layers, attentionWidth, blocks }: MultipliedWeights): PromptWork {
  const quantized = byType(blocks).filter(([type]) => isQuantized(type));
  const plain = byType(blocks).filter(([type]) => !isQuantized(type));
  return {
    counted: sum(quantized.map(([type, weights]) => dotProductCycles(type, weights))),
    weights: sum(quantized.map(([, weights]) => weights)),
    plainWeights: sum(plain.map(([, weights]) => weights)),
    // Half of the prompt is before a token, and each of that is multiplied with twice: as key and as value.
    attention: layers * attentionWidth * PROMPT_TOKENS,
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

/** Three significant figures at most: the model is good for no more. */
export function formatSpeed(tokensPerSecond: number): string {
  return tokensPerSecond < 10 ? tokensPerSecond.toFixed(2) : tokensPerSecond.toFixed(0);
}

/** The types that weights are in, with how many there are of each. */
export function byType(weights: WeightsByType): [BlockType, number][] {
  return Object.entries(weights) as [BlockType, number][];
}
