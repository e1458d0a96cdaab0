/** Floating-point operations of the stages that work on PyTorch's side, from their parameters as the recipe's schema has them. */
import { attentionParameters, multipliedParameters, stackParameters, type ModelShape } from "./shape.ts";

/** A product of two matrices takes two operations for each product of two numbers. */
const PRODUCT = 2;
/** A factorisation takes a third of n cubed. */
const FACTOR = 1 / 3;
const INVERSE = 2 / 3;
/** Halves of the text, ridges that are tried on either, and outputs that say what holds. */
const HALVES = 2;
const RIDGES = 3;
const JUDGED_OUTPUTS = 128;
/**
 * What `mixed` cuts beside what it keeps (models/pipress/pruning/mixed.py): so many candidates on few tokens, and so many
 * halves of the text for those that may be best. As counted at shares of 5 to 30 % of SmolLM2-135M and Llama 3.1 8B.
 */
const TRIALS = 6;
const TRIAL_TOKENS = 3072;
const FINAL_CUTS = 6;
/** Tokens that judge what each layer costs, at most, and their share (models/pipress/pruning/widths.py). */
const JUDGED_TOKENS = 2048;
const JUDGED_SHARE = 1 / 5;
/** The narrowest that a layer may get, of the mean. */
const LEAST_WIDTH = 0.5;

/**
 * Floating-point operations of `prune`: what goes through the blocks, and where text decides more than scores, the linear
 * algebra of models/pipress/pruning/least_squares.py.
 */
export function pruneOperations(
  params: Record<string, unknown>,
  before: ModelShape,
  after: ModelShape,
): number {
  const tokens = Number(params.calibrationTokens ?? 0);
  const once = cutOperations(params, tokens, before, after);
  if (params.method === "mixed")
    return (
      (1 + FINAL_CUTS) * once + TRIALS * cutOperations(params, Math.min(tokens, TRIAL_TOKENS), before, after)
    );
  return params.ffnWidths === "per-layer" ? once + widthOperations(tokens, before, after) : once;
}

/** A walk that cuts each layer alone, and takes what it did to the judging tokens through all that follow. */
function widthOperations(tokens: number, before: ModelShape, after: ModelShape): number {
  const judged = Math.min(JUDGED_SHARE * tokens, JUDGED_TOKENS);
  const forward = PRODUCT * stackParameters(before) * (tokens + (judged * before.layers) / 2);
  const least = LEAST_WIDTH * after.ffnSize;
  const gone = before.ffnSize - least;
  const perLayer =
    PRODUCT * tokens * before.ffnSize ** 2 +
    PRODUCT * (FACTOR + INVERSE) * before.ffnSize ** 3 +
    PRODUCT * removed(before.ffnSize, least) +
    (FACTOR * gone + before.hiddenSize) * gone ** 2 +
    refit(after.ffnSize, before.hiddenSize) +
    PRODUCT * judged * before.vocabulary * before.hiddenSize;
  return forward + before.layers * perLayer;
}

/** One cut, with text of so many tokens. */
function cutOperations(
  params: Record<string, unknown>,
  tokens: number,
  before: ModelShape,
  after: ModelShape,
): number {
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
  return passes * PRODUCT * stackParameters(before) * tokens + before.layers * perLayer;
}

/** What models/pipress/recovery/teacher.py keeps of the teacher, in bytes, and the bytes of a number there. */
const KEPT_BYTES = 8e9;
const STATE_BYTES = 2;

/**
 * Floating-point operations of `recover`: the teacher's forward pass over the text, or over every step's where that is too
 * much to keep; the student's, its backward pass to activations alone, the weights being frozen; and held-back text.
 */
export function recoverOperations(params: Record<string, unknown>, before: ModelShape): number {
  const number = (name: string): number => Number(params[name] ?? 0);
  const tokens = number("tokens");
  const text = tokens / Math.max(1, number("epochs"));
  const asked = text * before.hiddenSize * STATE_BYTES <= KEPT_BYTES ? text : tokens;
  const studentPasses = params.gradientCheckpointing === true ? 3 : 2; // forward, again, backward
  const forwardPasses = asked + studentPasses * tokens + number("validations") * number("validationTokens");
  return PRODUCT * multipliedParameters(before) * forwardPasses;
}

/** Two corrections of some outputs, fitted and judged on either half, and then one of all outputs. */
function refit(inputs: number, outputs: number): number {
  const columns = HALVES * RIDGES * 2 * (2 * JUDGED_OUTPUTS) + outputs;
  return (HALVES * RIDGES + 1) * FACTOR * inputs ** 3 + PRODUCT * inputs ** 2 * columns;
}

/** Updates of an inverse that shrinks from `n` rows to `kept`. */
function removed(n: number, kept: number): number {
  return (n - kept) * n ** 2;
}

/**
 * Floating-point operations of `awq`: one pass through the blocks, and in every layer, for every exponent tried, the products
 * that each group of weights is judged by (models/pipress/awq/scaling.py). Rounding the weights is little beside them.
 */
export function awqOperations(params: Record<string, unknown>, shape: ModelShape): number {
  const tokens = Number(params.calibrationTokens ?? 0);
  const exponents = Number(params.gridPoints ?? 0);
  const attention = attentionParameters(shape);
  const output = shape.hiddenSize * shape.heads * shape.headDim;
  const matrix = shape.hiddenSize * shape.ffnSize;
  // q, k and v by all of attention, gate and up by all of the FFN, down by itself; o only where no value feeds several heads
  const judged = attention + (shape.kvHeads === shape.heads ? output : 0) + 3 * matrix + matrix;
  return PRODUCT * tokens * (stackParameters(shape) + shape.layers * exponents * judged);
}
