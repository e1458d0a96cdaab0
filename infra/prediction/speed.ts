import { board, cyclesPerWeight } from "./cortex-a72.ts";
import { sum, tensorBytes } from "./file-size.ts";
import { typesOf, type Quantization } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";

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
      (tensor.columns * tensor.rows * cyclesPerWeight[type]) / (board.cores * board.hertz) +
      tensorBytes(tensor, type) / board.bytesPerSecond,
  );
  return 1 / sum(seconds);
}

/** Three significant figures at most: the model is good for no more. */
export function formatSpeed(tokensPerSecond: number): string {
  return tokensPerSecond < 10 ? tokensPerSecond.toFixed(2) : tokensPerSecond.toFixed(0);
}
