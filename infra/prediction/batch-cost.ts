import { dotProductCycles, storedBytes, type BlockType } from "./block-types.ts";
import { fittedBoard } from "./board.generated.ts";
import { CYCLES_PER_SECOND, type Board } from "./board.ts";
import { kernelCycles } from "./kernel-cycles.generated.ts";
import { sum } from "./file-size.ts";
import { byType, promptWork } from "./speed.ts";
import type { MultipliedWeights } from "./weights.ts";

/** Columns that a kernel of ours takes at a time (toolchain/llama-cpp/a72/multiply.h). */
const COLUMNS = 4;

/**
 * What a column of a batch costs beside the counted cycles of its kernel: as much as a token of a prompt was measured to,
 * with llama.cpp's kernels (`asPrompts`), or nothing (`asCounted`). Ours lie between, as far as anybody knows.
 */
export type ColumnCost = "asPrompts" | "asCounted";

/**
 * Seconds in which a Raspberry Pi 4 with the kernels of the release runs a batch of so many tokens that follow each other,
 * as a check of drafted tokens is. A model that no board was held against: of every type, either the bytes come from memory
 * or the cores multiply all columns, whichever takes longer.
 * @param columns tokens of the batch, at the start of a context
 */
export function batchSeconds(
  model: MultipliedWeights,
  columns: number,
  cost: ColumnCost,
  { generation, prompt }: Board = fittedBoard,
): number {
  const { bytesPerSecond, secondsPerLayer } = generation;
  const factor = cost === "asPrompts" ? prompt.cycleFactor : generation.cycleFactor;
  const beside = cost === "asPrompts" ? prompt.cyclesPerWeight * columns : 0;
  const products = [...byType(model.blocks), ...byType(model.output)].map(([type, weights]) =>
    Math.max(
      storedBytes(type, weights) / bytesPerSecond,
      (weights * (factor * columnCycles(type, columns) + beside)) / CYCLES_PER_SECOND,
    ),
  );
  // What attention takes of the first is in `secondsPerLayer`.
  const attention = (columns - 1) * prompt.cyclesPerAttention * promptWork(model).attention;
  return sum(products) + secondsPerLayer * model.layers + attention / CYCLES_PER_SECOND;
}

/** Cycles that a weight of a type takes with all columns of a batch; types without a kernel of ours take upstream's. */
export function columnCycles(type: BlockType, columns: number): number {
  const cycles = kernelCycles[type];
  if (cycles === undefined) return columns * dotProductCycles(type, 1);
  // Once for unpacking, and once more for each column.
  const column = (COLUMNS * cycles.prompt - cycles.generation) / (COLUMNS - 1);
  const unpackings = Math.ceil(columns / COLUMNS);
  return unpackings * (cycles.generation - column) + columns * column;
}
