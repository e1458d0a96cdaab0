import { batchSeconds, type ColumnCost } from "../../infra/prediction/batch-cost.ts";
import type { MultipliedWeights } from "../../infra/prediction/weights.ts";
import type { Answer } from "./server.ts";

/** Predicted of a Raspberry Pi 4, for all answers together. */
export interface PredictedTime {
  secondsWithout: number;
  seconds: number;
  /** How many times as fast, and its standard error over the answers. */
  speedup: number;
  error: number;
}

/** Seconds in which a Raspberry Pi 4 would write these answers with a model, with the batches that they took and one by one. */
export function predictedTime(
  answers: readonly Answer[],
  model: MultipliedWeights,
  cost: ColumnCost,
): PredictedTime {
  const seconds = (columns: number): number => batchSeconds(model, columns, cost);
  const times = answers.map((answer) => ({
    // The first token comes with the prompt.
    without: (answer.tokens - 1) * seconds(1),
    with: sum([
      plainBatches(answer) * seconds(1),
      ...answer.checks.map(({ drafted }) => seconds(drafted + 1)),
    ]),
  }));
  const speedupOf = (some: typeof times): number =>
    sum(some.map((time) => time.without)) / sum(some.map((time) => time.with));
  const speedups = times.map((_, left) => speedupOf(times.filter((__, index) => index !== left)));
  return {
    secondsWithout: sum(times.map((time) => time.without)),
    seconds: sum(times.map((time) => time.with)),
    speedup: speedupOf(times),
    error: jackknifeError(speedups),
  };
}

/** Batches of one token; an answer may end within what was accepted. */
export function plainBatches({ tokens, checks }: Answer): number {
  return Math.max(0, tokens - 1 - sum(checks.map(({ accepted }) => accepted + 1)));
}

/** Standard error of what was estimated with each of the observations left out (Efron, doi:10.1214/aos/1176344552). */
function jackknifeError(estimates: readonly number[]): number {
  const count = estimates.length;
  const mean = sum(estimates) / count;
  return Math.sqrt(((count - 1) / count) * sum(estimates.map((estimate) => (estimate - mean) ** 2)));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
