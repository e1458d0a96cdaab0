import type { Pooling } from "../model/ready-model.ts";
import type { ModelConfig } from "../recipe/recipe.generated.ts";
import { layoutOf } from "../recipe/layouts.ts";
import type { JobResult } from "../stage/job.ts";

/** What everything predicted follows from: the sizes of a model whose layers are a Llama's, or taken for such. */
export interface ModelShape {
  /** As config.json names it; left out, a Llama. */
  architecture?: string;
  layers: number;
  hiddenSize: number;
  ffnSize: number;
  heads: number;
  /** None where a text is read as a whole, as by BERT: no keys and values are kept then. */
  kvHeads: number;
  headDim: number;
  vocabulary: number;
  /** The output matrix is the token embedding. */
  tied: boolean;
  /** Bytes that tokens, their types and the merges take in a GGUF. */
  tokenizerBytes: number;
  /** Tokens of context that the model was trained for, RoPE scaling included; unknown where neither recipe nor `fetch` says it. */
  trainedContext?: number;
  /** Of an embedding model, which generates nothing: how it makes one vector of a text. */
  pooling?: Pooling;
  /**
   * Of a fetched model with other layers than a Llama's: its weights, and those that a token is multiplied with. What its sizes
   * would come to as a Llama is scaled to them.
   */
  parameters?: number;
  tokenParameters?: number;
}

/**
 * Bytes of tokenizer in a GGUF per entry of the vocabulary, until the model has been fetched: 36 for SmolLM2, as for most
 * byte-level BPE; Llama 3 lists more merges than tokens and has 58, which in a file of gigabytes is nothing.
 */
const TOKENIZER_BYTES_PER_ENTRY = 36;

/** The shape that a config.json describes; what it leaves out has the defaults of the Llama architecture. */
export function shapeOfConfig(config: ModelConfig): ModelShape {
  const architecture = config.architectures?.[0];
  return {
    ...(architecture !== undefined && { architecture }),
    layers: config.num_hidden_layers,
    hiddenSize: config.hidden_size,
    ffnSize: config.intermediate_size,
    heads: config.num_attention_heads,
    kvHeads: config.num_key_value_heads ?? config.num_attention_heads,
    headDim: config.head_dim ?? config.hidden_size / config.num_attention_heads,
    vocabulary: config.vocab_size,
    tied: config.tie_word_embeddings ?? false,
    tokenizerBytes: config.vocab_size * TOKENIZER_BYTES_PER_ENTRY,
    ...(config.max_position_embeddings !== undefined && { trainedContext: config.max_position_embeddings }),
  };
}

/** The shape that `fetch` measured on the model itself; undefined where its artifact does not say it. */
export function shapeOfFetched({ metrics }: Pick<JobResult, "metrics">): ModelShape | undefined {
  const { layers, hiddenSize, ffnSize, heads, kvHeads, headDim, vocabulary, tied, tokenizerBytes } = metrics;
  const shape = { layers, hiddenSize, ffnSize, heads, kvHeads, headDim, vocabulary, tied, tokenizerBytes };
  if (Object.values(shape).includes(undefined)) return undefined;
  const { architecture, trainedContext, pooling, parameters, tokenParameters } = metrics;
  return {
    ...(shape as ModelShape),
    ...(typeof architecture === "string" && { architecture }),
    ...(typeof trainedContext === "number" && { trainedContext }),
    ...(typeof pooling === "string" && { pooling: pooling as Pooling }),
    ...(typeof parameters === "number" &&
      typeof tokenParameters === "number" && { parameters, tokenParameters }),
  };
}

/** Weights of one block's attention: q, k, v and output. */
export function attentionParameters({ hiddenSize, heads, kvHeads, headDim }: ModelShape): number {
  return 2 * hiddenSize * headDim * (heads + kvHeads);
}

/** Biases of one block's q, k and v. */
export function attentionBiases({ architecture, heads, kvHeads, headDim }: ModelShape): number {
  return layoutOf(architecture)?.qkvBias === true ? headDim * (heads + 2 * kvHeads) : 0;
}

/** Weights of one block: attention, FFN and norms. */
export function blockParameters(shape: ModelShape): number {
  const headNorms = layoutOf(shape.architecture)?.qkNorm === true ? 2 * shape.headDim : 0;
  const attention = attentionParameters(shape) + attentionBiases(shape) + headNorms;
  return attention + shape.hiddenSize * (3 * shape.ffnSize + 2);
}

/** Weights of all blocks. */
export function stackParameters(shape: ModelShape): number {
  return shape.layers * blockParameters(shape);
}

/** Weights that every token is multiplied with: of the embedding, where it is not the output matrix too, it takes one row. */
export function multipliedParameters(shape: ModelShape): number {
  return shape.tokenParameters ?? stackParameters(shape) + shape.vocabulary * shape.hiddenSize;
}

/** All weights; a tied output matrix counts once. */
export function parameterCount(shape: ModelShape): number {
  return shape.parameters ?? parametersAsLlama(shape);
}

/** What the weights of a model of these sizes come to where its layers are a Llama's. */
export function parametersAsLlama(shape: ModelShape): number {
  const embeddings = (shape.tied ? 1 : 2) * shape.vocabulary * shape.hiddenSize;
  return embeddings + stackParameters(shape) + shape.hiddenSize;
}
