import { CYCLES_PER_SECOND, type Board } from "../../infra/prediction/board.ts";
import { generationSpeed, generationWork, promptSpeed, promptWork } from "../../infra/prediction/speed.ts";
import { multipliedWeights } from "../../infra/prediction/weights.ts";
import type { MeasuredRow } from "./rows.ts";

/** Relative errors of a prediction over rows: root of the mean square, and the largest. */
export interface Errors {
  rms: number;
  worst: number;
}

type Generation = Board["generation"];

/** How far a board's predictions of generation are from what was measured. */
export function generationErrors(rows: readonly MeasuredRow[], board: Generation): Errors {
  return errorsOfGeneration(worksOf(rows), board);
}

/** The same of prompts, where rows have them. */
export function promptErrors(rows: readonly MeasuredRow[], board: Board["prompt"]): Errors {
  return summary(
    rows.flatMap(({ shape, type, prompt }) =>
      prompt === undefined
        ? []
        : [promptSpeed(promptWork(multipliedWeights(shape, { type, imatrix: false })), board) / prompt - 1],
    ),
  );
}

/** The board whose predictions are nearest to what was measured, by the sum of squared relative errors. */
export function fitBoard(rows: readonly MeasuredRow[]): Board {
  return { generation: fitGeneration(rows), prompt: fitPrompt(rows) };
}

/** Steps of each constant in turn, smaller ones when none helps any more: a maximum has no slope to follow everywhere. */
export function fitGeneration(rows: readonly MeasuredRow[]): Generation {
  const works = worksOf(rows);
  const error = (board: Generation): number => errorsOfGeneration(works, board).rms;
  let best: Generation = { bytesPerSecond: 3.5e9, cycleFactor: 1, secondsPerLayer: 2e-4 };
  for (let step = 0.1; step > 1e-4; step /= 2) {
    for (let improved = true; improved;) {
      const candidates = Object.keys(best).flatMap((key) =>
        [1 + step, 1 / (1 + step)].map((factor) => ({
          ...best,
          [key]: best[key as keyof Generation] * factor,
        })),
      );
      const nearest = candidates.reduce((a, b) => (error(a) <= error(b) ? a : b));
      improved = error(nearest) < error(best);
      if (improved) best = nearest;
    }
  }
  return best;
}

/** Linear least squares on relative errors: what a token takes is a sum of kinds of work. */
function fitPrompt(rows: readonly MeasuredRow[]): Board["prompt"] {
  const equations = rows.flatMap(({ shape, type, prompt }) => {
    if (prompt === undefined) return [];
    const { counted, weights, plainWeights, attention } = promptWork(
      multipliedWeights(shape, { type, imatrix: false }),
    );
    return [[counted, weights, plainWeights, attention].map((work) => (work * prompt) / CYCLES_PER_SECOND)];
  });
  const [cycleFactor = 0, cyclesPerWeight = 0, cyclesPerPlainWeight = 0, cyclesPerAttention = 0] =
    leastSquares(equations);
  return { cycleFactor, cyclesPerWeight, cyclesPerPlainWeight, cyclesPerAttention };
}

/** The x for which the rows of A times x are nearest to 1: the normal equations, by elimination. */
export function leastSquares(rows: readonly (readonly number[])[]): number[] {
  const width = rows[0]?.length ?? 0;
  const total = (f: (row: readonly number[]) => number): number => rows.reduce((sum, row) => sum + f(row), 0);
  const at = (row: readonly number[], index: number): number => row[index] ?? 0;
  const indices = Array.from({ length: width }, (_, index) => index);
  const matrix = indices.map((i) => [
    ...indices.map((j) => total((row) => at(row, i) * at(row, j))),
    total((row) => at(row, i)),
  ]);
  for (const pivot of indices) {
    const source = matrix[pivot] ?? [];
    for (const target of matrix) {
      if (target === source) continue;
      const factor = at(target, pivot) / at(source, pivot);
      for (let column = pivot; column <= width; column += 1)
        target[column] = at(target, column) - factor * at(source, column);
    }
  }
  return matrix.map((row, index) => at(row, width) / at(row, index));
}

function worksOf(rows: readonly MeasuredRow[]) {
  return rows.map(({ shape, type, generation }) => ({
    work: generationWork(multipliedWeights(shape, { type, imatrix: false })),
    measured: generation,
  }));
}

function errorsOfGeneration(works: ReturnType<typeof worksOf>, board: Generation): Errors {
  return summary(works.map(({ work, measured }) => generationSpeed(work, board) / measured - 1));
}

function summary(errors: readonly number[]): Errors {
  const meanSquare = errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length;
  return { rms: Math.sqrt(meanSquare), worst: Math.max(...errors.map(Math.abs)) };
}
