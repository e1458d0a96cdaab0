import type { ModelShape } from "../shape.ts";

/** SmolLM2-135M: tied embeddings, rows of 576 that k-quants do not fit. */
export const smolLM2: ModelShape = {
  layers: 30,
  hiddenSize: 576,
  ffnSize: 1536,
  heads: 9,
  kvHeads: 3,
  headDim: 64,
  vocabulary: 49152,
  tied: true,
  tokenizerBytes: 1767671,
};

/** Llama 3.1 8B. */
export const llama8B: ModelShape = {
  layers: 32,
  hiddenSize: 4096,
  ffnSize: 14336,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
  vocabulary: 128256,
  tied: false,
  tokenizerBytes: 7.4e6,
};

/** Llama 2 7B: as many heads for keys and values as for queries. */
export const llama2With7B: ModelShape = {
  layers: 32,
  hiddenSize: 4096,
  ffnSize: 11008,
  heads: 32,
  kvHeads: 32,
  headDim: 128,
  vocabulary: 32000,
  tied: false,
  tokenizerBytes: 1e6,
};

/** Rows that no block of 32 divides, and fewer layers than an eighth is worth. */
export const oddRows: ModelShape = {
  layers: 9,
  hiddenSize: 96,
  ffnSize: 272,
  heads: 4,
  kvHeads: 4,
  headDim: 24,
  vocabulary: 300,
  tied: false,
  tokenizerBytes: 10000,
};
