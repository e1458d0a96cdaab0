import { parameterCount, type ModelShape } from "./shape.ts";

/** A product of two matrices takes two operations for each product of two numbers; a factorisation a third of n cubed. */
const PRODUCT = 2;
const FACTOR = 1 / 3;
const INVERSE = 2 / 3;
/** Of a refit, ridge regressions: one on each half of the text, one on all of it. */
const FITS = 3;

/**
 * Floating-point operations of `prune`: what goes through the model, and where text decides more than scores, the linear
 * algebra of models/pipress/pruning/least_squares.py.
 */
export function pruneOperations(
  params: Record<string, unknown>,
  before: ModelShape,
  after: ModelShape,
): number {
  const tokens = Number(params.calibrationTokens ?? 0);
  const refits = params.reconstruct === true;
  const passes = refits ? 3 : 2; // measured and cut; where it is refitted the unpruned model goes along
  const heads = before.heads * before.headDim;
  const headsKept = after.heads * after.headDim;
  let perLayer = PRODUCT * tokens * before.ffnSize ** 2;
  if (refits)
    perLayer +=
      PRODUCT * tokens * heads ** 2 +
      refit(after.ffnSize, before.hiddenSize) +
      refit(headsKept, before.hiddenSize);
  if (params.method === "ffn-second-order" || params.method === "mixed")
    perLayer += (FACTOR + INVERSE) * before.ffnSize ** 3 + PRODUCT * removed(before.ffnSize, after.ffnSize);
  return passes * PRODUCT * parameterCount(before) * tokens + before.layers * perLayer;
}

/** Two corrections, each fitted three times and judged twice. */
function refit(inputs: number, outputs: number): number {
  const solve = 2 * PRODUCT * inputs ** 2 * outputs;
  return FITS * (FACTOR * inputs ** 3 + solve) + 2 * solve;
}

/** Updates of an inverse that shrinks from `n` rows to `kept`. */
function removed(n: number, kept: number): number {
  return (n - kept) * n ** 2;
}
