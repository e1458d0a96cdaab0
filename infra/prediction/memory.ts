import { storedBytes, type BlockType } from "./block-types.ts";
import type { ModelShape } from "./shape.ts";

/** llama-server takes a prompt through the model in pieces of so many tokens (`--ubatch-size`), and its buffers are for one. */
const BATCH_TOKENS = 512;
/** The cache is laid out in multiples of so many tokens. */
const CACHE_TOKENS = 256;
const FLOAT_BYTES = 4;
/** Program, threads, HTTP server and heap, without model and buffers. */
const PROCESS_BYTES = 30e6;
/** What the tokenizer takes as hash tables in memory, over what it takes in the file. */
const TOKENIZER_FACTOR = 6;

/** The settings of llama-server that its memory depends on. */
export interface CacheSettings {
  /** Tokens of context, over all parallel requests. */
  context: number;
  /** Type of the KV cache (`--cache-type-k` and `-v`). @default "f16" */
  kvType?: string;
}

/**
 * Memory of llama-server once it has worked: the file, which is mapped as a whole, the KV cache of its full context, and
 * its buffers. In bytes.
 */
export function serverMemory(shape: ModelShape, fileBytes: number, server: CacheSettings): number {
  return (
    fileBytes +
    cacheBytes(shape, server) +
    bufferBytes(shape) +
    shape.tokenizerBytes * TOKENIZER_FACTOR +
    PROCESS_BYTES
  );
}

/** Keys and values of every layer and token. */
function cacheBytes(shape: ModelShape, { context, kvType = "f16" }: CacheSettings): number {
  const tokens = Math.ceil(context / CACHE_TOKENS) * CACHE_TOKENS;
  const values = 2 * shape.layers * shape.kvHeads * shape.headDim * tokens;
  return storedBytes(kvType.toUpperCase() as BlockType, values);
}

/** Activations of one batch: two of the FFN's width at a time, and a handful of the model's. */
function bufferBytes({ hiddenSize, ffnSize, vocabulary }: ModelShape): number {
  return FLOAT_BYTES * (BATCH_TOKENS * (2 * ffnSize + 3 * hiddenSize) + vocabulary);
}
