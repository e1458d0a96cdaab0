import { layoutOf } from "../recipe/layouts.ts";
import type { ModelShape } from "./shape.ts";

/** A tensor of a GGUF: `columns` is the length of a row, `rows` is 0 for a vector. */
export interface Tensor {
  name: string;
  /** Its part of the model without block number: `attn_v`, `token_embd`. */
  part: string;
  columns: number;
  rows: number;
}

/**
 * Tensors of a model whose layers are a Llama's, biases and norms of heads included, in the order in which llama-quantize takes them: what belongs to no block first,
 * then by block, by name within each. The order matters, because the choice of types counts what it has seen.
 */
export function tensorsOf(shape: ModelShape): Tensor[] {
  const { hiddenSize, ffnSize, vocabulary, layers, tied } = shape;
  const queries = shape.heads * shape.headDim;
  const keys = shape.kvHeads * shape.headDim;
  const { qkvBias = false, qkNorm = false } = layoutOf(shape.architecture) ?? {};
  const block: [part: string, columns: number, rows: number][] = [
    ["attn_k", hiddenSize, keys],
    ...(qkNorm ? [norm("attn_k_norm", shape.headDim)] : []),
    ["attn_norm", hiddenSize, 0],
    ["attn_output", queries, hiddenSize],
    ["attn_q", hiddenSize, queries],
    ...(qkNorm ? [norm("attn_q_norm", shape.headDim)] : []),
    ["attn_v", hiddenSize, keys],
    ["ffn_down", ffnSize, hiddenSize],
    ["ffn_gate", hiddenSize, ffnSize],
    ["ffn_norm", hiddenSize, 0],
    ["ffn_up", hiddenSize, ffnSize],
  ];
  const biases: [part: string, columns: number][] = [
    ["attn_k", keys],
    ["attn_q", queries],
    ["attn_v", keys],
  ];
  const whole: [part: string, columns: number, rows: number][] = [
    ...(tied ? [] : [["output", hiddenSize, vocabulary] as [string, number, number]]),
    ["output_norm", hiddenSize, 0],
    ["token_embd", hiddenSize, vocabulary],
  ];
  return [
    ...whole.map(([part, columns, rows]) => ({ name: `${part}.weight`, part, columns, rows })),
    ...Array.from({ length: layers }, (_, layer) => [
      ...block.map(([part, columns, rows]) => ({ name: `blk.${layer}.${part}.weight`, part, columns, rows })),
      ...(qkvBias
        ? biases.map(([part, columns]) => ({ name: `blk.${layer}.${part}.bias`, part, columns, rows: 0 }))
        : []),
    ]).flat(),
  ];
}

function norm(part: string, columns: number): [part: string, columns: number, rows: number] {
  return [part, columns, 0];
}
