import { dotProductCycles } from "./block-types.ts";
import { sum, tensorBytes } from "./file-size.ts";
import { typesOf, type Quantization } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";

/**
 * A Raspberry Pi 4: four Cortex-A72 at 1.5 GHz, NEON without dotprod. It is a model, not a measurement on a board: with
 * the counted cycles of `block-types.ts`, the bandwidth was fitted on published runs of Llama-3-8B in Q4_0 (0.73-0.79
 * tokens/s). It then gives 0.82 for Q2_K, where 0.84-0.87 were measured, and is 15-18 % high on models of 2B. A
 * measurement on a board belongs in here.
 */
const board = {
  cores: 4,
  hertz: 1.5e9,
  bytesPerSecond: 5.1e9,
};

/**
 * Tokens per second that a Raspberry Pi 4 generates at the start of a context: every weight that a token is multiplied
 * with costs its cycles on all cores, and its bytes come from memory. A token embedding that is not also the output
 * matrix costs one row.
 */
export function tokensPerSecond(shape: ModelShape, quantization: Quantization): number {
  const multiplied = typesOf(shape, quantization).filter(
    ([{ part, rows }]) => rows > 0 && (part !== "token_embd" || shape.tied),
  );
  const seconds = multiplied.map(
    ([tensor, type]) =>
      dotProductCycles(type, tensor.columns * tensor.rows) / (board.cores * board.hertz) +
      tensorBytes(tensor, type) / board.bytesPerSecond,
  );
  return 1 / sum(seconds);
}

/**
 * How much longer a prompt's token takes than the counted cycles say, at worst: 1.1 to 1.9 times as long was measured on a
 * board, where weights are unpacked again for every token.
 */
const PROMPT_FACTOR = 1.9;

/** Tokens per second that a Raspberry Pi 4 reads of a prompt, at the least: arithmetic, not memory, is what that takes. */
export function promptTokensPerSecond(shape: ModelShape, quantization: Quantization): number {
  const multiplied = typesOf(shape, quantization).filter(
    ([{ part, rows }]) => rows > 0 && part !== "token_embd",
  );
  const cycles = multiplied.map(([tensor, type]) => dotProductCycles(type, tensor.columns * tensor.rows));
  return (board.cores * board.hertz) / (PROMPT_FACTOR * sum(cycles));
}

/** Three significant figures at most: the model is good for no more. */
export function formatSpeed(tokensPerSecond: number): string {
  return tokensPerSecond < 10 ? tokensPerSecond.toFixed(2) : tokensPerSecond.toFixed(0);
}
