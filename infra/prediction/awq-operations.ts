import { PRODUCT } from "./operations.ts";
import { attentionParameters, stackParameters, type ModelShape } from "./shape.ts";

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
