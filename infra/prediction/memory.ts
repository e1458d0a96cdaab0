import { storedBytes, type BlockType } from "./block-types.ts";
import type { ModelShape } from "./shape.ts";

/*
 * Constants of llama-server b11434 for aarch64, read from its log and its memory map while it served SmolLM2-135M (FFN 1280)
 * with 2048 and 8192 tokens of context under emulation: compute buffer 15.14 and 21.14 MiB, KV cache 45 and 180 MiB, heap
 * 19.8 MB, program 8.4 MB.
 */

/** A prompt goes through the model in pieces of so many tokens (`--ubatch-size`), and the buffers are for one piece. */
const BATCH_TOKENS = 512;
/** The cache is laid out in multiples of so many tokens. */
const CACHE_TOKENS = 256;
/** Activations of one token that are kept at a time: so many of the FFN's width, so many of the model's. */
const FFN_ACTIVATIONS = 3;
const HIDDEN_ACTIVATIONS = 5;
const FLOAT_BYTES = 4;
/** An entry of the attention mask. */
const MASK_BYTES = 2;
/** Program, threads, HTTP server and heap, without model, tokenizer and buffers. */
const PROCESS_BYTES = 15e6;
/** What the tokenizer takes as hash tables in memory, over what it takes in the file. */
const TOKENIZER_FACTOR = 10;

const MIB = 2 ** 20;
/** The table of `--spec-type ngram-mod`: four million tokens of four bytes, whatever the context. */
const NGRAM_BYTES = 16 * MIB;

/** What a service may take beyond the prediction: requests at work, and what the prediction is off by. */
const ROOM_BYTES = 512 * MIB;
/** Memory that the system of a host needs; the role `preflight` asks for as much. */
export const SYSTEM_BYTES = 512 * MIB;
/** Memory that a host must have beside what llama-server is predicted to take. */
export const RESERVE_BYTES = ROOM_BYTES + SYSTEM_BYTES;

/** The settings of llama-server that its memory depends on. */
export interface CacheSettings {
  /** Tokens of context, over all parallel requests. */
  contextLength: number;
  /** Type of the KV cache (`--cache-type-k` and `-v`). @default "f16" */
  cacheType?: string;
  /** Requests that share the context. @default 1 */
  parallel?: number;
  /** Whether tokens are guessed from n-grams. @default "none" */
  speculation?: string;
  /** One, or several. */
  systemPrompt?: string | readonly unknown[] | undefined;
}

/**
 * Memory of llama-server once it has read a prompt of some length: the file, which is mapped as a whole, the KV cache of its full context, and
 * its buffers. In bytes.
 */
export function serverMemory(shape: ModelShape, fileBytes: number, server: CacheSettings): number {
  return (
    fileBytes +
    cacheBytes(shape, server) +
    promptCacheBytes(shape, server) +
    bufferBytes(shape, server) +
    shape.tokenizerBytes * TOKENIZER_FACTOR +
    (server.speculation === "ngram" && shape.pooling === undefined ? NGRAM_BYTES : 0) +
    PROCESS_BYTES
  );
}

/** Memory that the service of a release may take, in bytes: `MemoryMax` of its unit. */
export function memoryMax(shape: ModelShape, fileBytes: number, server: CacheSettings): number {
  return Math.ceil(serverMemory(shape, fileBytes, server)) + ROOM_BYTES;
}

/**
 * What llama-server may keep of prompts that it has read before (`--cache-ram`), in bytes; nothing without a system prompt.
 * Another conversation takes a slot over: then the one with the system prompt has to be kept, and the other one when the
 * next comes, each of them as long as the context of a request. Further system prompts are kept there from the start.
 */
export function promptCacheBytes(shape: ModelShape, server: CacheSettings): number {
  const { systemPrompt = [], parallel = 1, contextLength } = server;
  const prompts = typeof systemPrompt === "string" ? 1 : systemPrompt.length;
  if (prompts === 0) return 0;
  const one = cacheBytes(shape, {
    ...server,
    contextLength: Math.floor(contextLength / parallel),
    parallel: 1,
  });
  return Math.ceil(((prompts + 1) * one) / MIB) * MIB;
}

/**
 * Tokens of context over all parallel requests. A text for an embedding model has no more than that was trained for: beyond
 * them BERT has no positions.
 */
export function usedContext(
  { pooling, trainedContext = Infinity }: ModelShape,
  { contextLength, parallel = 1 }: CacheSettings,
): number {
  return pooling === undefined ? contextLength : Math.min(contextLength, trainedContext * parallel);
}

/** Keys and values of every layer and token. */
function cacheBytes(shape: ModelShape, server: CacheSettings): number {
  const { cacheType = "f16" } = server;
  const tokens = Math.ceil(usedContext(shape, server) / CACHE_TOKENS) * CACHE_TOKENS;
  return storedBytes(cacheType.toUpperCase() as BlockType, cachedValues(shape, tokens));
}

/** Numbers in the KV cache of so many tokens. */
export function cachedValues({ layers, kvHeads, headDim }: ModelShape, tokens: number): number {
  return 2 * layers * kvHeads * headDim * tokens;
}

/** Activations and attention mask of one piece of a prompt, and the logits of one token. An embedding model reads in one piece. */
function bufferBytes(shape: ModelShape, server: CacheSettings): number {
  const { hiddenSize, ffnSize, vocabulary, pooling } = shape;
  const context = usedContext(shape, server);
  const piece = pooling === undefined ? BATCH_TOKENS : Math.floor(context / (server.parallel ?? 1));
  const activations = FFN_ACTIVATIONS * ffnSize + HIDDEN_ACTIVATIONS * hiddenSize;
  return piece * (FLOAT_BYTES * activations + MASK_BYTES * context) + FLOAT_BYTES * vocabulary;
}
