import { storedTypes, type BlockType } from "./block-types.ts";
import { typesOf, type Quantization } from "./quantize-types.ts";
import { sum } from "./file-size.ts";
import type { ModelShape } from "./shape.ts";

/** Weights of matrices, by the type that they are stored in. */
export type WeightsByType = Readonly<Partial<Record<BlockType, number>>>;

/** What a token is multiplied with: all of a model that its speed depends on. */
export interface MultipliedWeights {
  layers: number;
  /** Query heads times the dimension of one. */
  attentionWidth: number;
  /** Of all layers together. */
  blocks: WeightsByType;
  /** Of the output matrix, which may be the token embedding; an embedding that is not costs one row. */
  output: WeightsByType;
}

/** The weights of a model of that shape as llama-quantize stores them; of layers that are no Llama's, in the same shares. */
export function multipliedWeights(shape: ModelShape, quantization: Quantization): MultipliedWeights {
  const blocks: Partial<Record<BlockType, number>> = {};
  const output: Partial<Record<BlockType, number>> = {};
  for (const [{ part, columns, rows }, type] of typesOf(shape, quantization)) {
    if (rows === 0 || (part === "token_embd" && !shape.tied)) continue;
    const group = part === "output" || part === "token_embd" ? output : blocks;
    group[type] = (group[type] ?? 0) + columns * rows;
  }
  const { layers, tokenParameters } = shape;
  const rest = tokenParameters === undefined ? undefined : tokenParameters - sum(Object.values(output));
  return {
    layers,
    attentionWidth: shape.heads * shape.headDim,
    blocks: rest === undefined ? blocks : scaled(blocks, rest / sum(Object.values(blocks))),
    output,
  };
}

function scaled(weights: WeightsByType, factor: number): WeightsByType {
  return Object.fromEntries(
    Object.entries(weights).map(([type, count]) => [type, Math.round(count * factor)]),
  );
}

/** `Q4_K=84934656 Q6_K=21233664`, by name of the type. */
export function formatWeights(weights: WeightsByType): string {
  return Object.entries(weights)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([type, count]) => `${type}=${count}`)
    .join(" ");
}

/** Reads what `formatWeights` writes; undefined where it is something else, or names a type that is not known. */
export function parseWeights(text: string): WeightsByType | undefined {
  const weights: Partial<Record<BlockType, number>> = {};
  for (const entry of text.split(/\s+/)) {
    const [name = "", count] = entry.split("=");
    const type = storedTypes.find((known) => known === name);
    if (type === undefined || !(Number(count) > 0)) return undefined;
    weights[type] = Number(count);
  }
  return weights;
}

/** Whether two models are multiplied with the same, so that a board is equally fast with both. */
export function areAlike(one: MultipliedWeights, other: MultipliedWeights): boolean {
  return (
    one.layers === other.layers &&
    one.attentionWidth === other.attentionWidth &&
    formatWeights(one.blocks) === formatWeights(other.blocks) &&
    formatWeights(one.output) === formatWeights(other.output)
  );
}
