import { fits, isQuantized, type BlockType } from "./block-types.ts";
import type { ModelShape } from "./shape.ts";
import { tensorsOf, type Tensor } from "./tensors.ts";

/** Types of llama-quantize and the block type that each starts from (`llama_ftype_get_default_type`). */
export const startingTypes = {
  F32: "F32",
  F16: "F16",
  BF16: "BF16",
  Q8_0: "Q8_0",
  Q6_K: "Q6_K",
  Q5_K_M: "Q5_K",
  Q5_K_S: "Q5_K",
  Q5_1: "Q5_1",
  Q5_0: "Q5_0",
  Q4_K_M: "Q4_K",
  Q4_K_S: "Q4_K",
  Q4_1: "Q4_1",
  Q4_0: "Q4_0",
  IQ4_NL: "IQ4_NL",
  IQ4_XS: "IQ4_XS",
  Q3_K_L: "Q3_K",
  Q3_K_M: "Q3_K",
  Q3_K_S: "Q3_K",
  IQ3_M: "IQ3_S",
  IQ3_S: "IQ3_S",
  IQ3_XS: "IQ3_S",
  IQ3_XXS: "IQ3_XXS",
  Q2_K: "Q2_K",
  Q2_K_S: "Q2_K",
  IQ2_M: "IQ2_S",
  IQ2_S: "IQ2_XS",
  IQ2_XS: "IQ2_XS",
  IQ2_XXS: "IQ2_XXS",
  IQ1_M: "IQ1_M",
  IQ1_S: "IQ1_S",
  TQ2_0: "TQ2_0",
  TQ1_0: "TQ1_0",
  Q2_0: "Q2_0",
  Q1_0: "Q1_0",
  MXFP4_MOE: "MXFP4",
} as const satisfies Record<string, BlockType>;

export type QuantizeType = keyof typeof startingTypes;

/** What llama-quantize is told. */
export interface Quantization {
  type: QuantizeType;
  imatrix: boolean;
  /** `--tensor-type`: the first pattern found in a tensor's name decides. */
  overrides?: readonly (readonly [pattern: string, type: BlockType])[];
  /** `--output-tensor-type` and `--token-embedding-type`. */
  outputType?: BlockType | undefined;
  embeddingType?: BlockType | undefined;
}

/** What stands in for the types whose blocks do not divide a row (`tensor_type_fallback`). */
const fallbacks: [BlockType, BlockType[]][] = [
  ["IQ4_NL", ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ4_XS"]],
  ["Q4_0", ["Q2_K", "Q3_K", "TQ1_0", "TQ2_0", "Q2_0"]],
  ["Q5_0", ["Q4_K"]],
  ["Q5_1", ["Q5_K"]],
  ["Q8_0", ["Q6_K"]],
];
const fallbackOf = new Map(
  fallbacks.flatMap(([fallback, types]) => types.map((type) => [type, fallback] as const)),
);

/** What rules look at. */
interface Model {
  layers: number;
  /** Four query heads or more share a key head. */
  grouped: boolean;
  imatrix: boolean;
}

/** The block type of the tensor that is number `index` of its part; undefined for the one that the file's type starts from. */
type Rule = BlockType | ((model: Model, index: number) => BlockType | undefined);

const isEarly = ({ layers }: Model, index: number) => index < Math.floor(layers / 8);
const isLate = ({ layers }: Model, index: number) => index >= Math.floor((7 * layers) / 8);

const whereGrouped =
  (type: BlockType, otherwise?: BlockType): Rule =>
  ({ grouped }) =>
    grouped ? type : otherwise;

/** @param imatrix whether only with an importance matrix, or only without one */
const whereEarly =
  (type: BlockType, imatrix?: boolean): Rule =>
  (model, index) =>
    isEarly(model, index) && (imatrix ?? model.imatrix) === model.imatrix ? type : undefined;

const inTheMiddle =
  (type: BlockType): Rule =>
  (model, index) =>
    isEarly(model, index) || isLate(model, index) ? undefined : type;

/** `use_more_bits`: the first and last eighth, and every third in between. */
const moreBits: Rule = (model, index) => {
  const isThird = (index - Math.floor(model.layers / 8)) % 3 === 2;
  return isEarly(model, index) || isLate(model, index) || isThird ? "Q6_K" : undefined;
};

/** `llama_tensor_get_type_impl`: what each part gets where it is not the type that the file's type starts from. */
const rules: Record<string, Partial<Record<QuantizeType, Rule>>> = {
  token_embd: {
    IQ2_XXS: "Q2_K",
    IQ2_XS: "Q2_K",
    IQ1_S: "Q2_K",
    IQ1_M: "Q2_K",
    IQ2_S: "IQ3_S",
    IQ2_M: "IQ3_S",
    IQ3_XXS: "IQ3_S",
    TQ1_0: "Q4_K",
    TQ2_0: "Q4_K",
    Q2_0: "Q4_K",
  },
  attn_v: {
    IQ1_S: whereGrouped("Q4_K", "Q2_K"),
    IQ1_M: whereGrouped("Q4_K", "Q2_K"),
    IQ2_XXS: whereGrouped("Q4_K", "Q2_K"),
    IQ2_XS: whereGrouped("Q4_K", "Q2_K"),
    IQ2_S: whereGrouped("Q4_K", "IQ3_S"),
    IQ2_M: whereGrouped("Q4_K", "IQ3_S"),
    Q2_K: whereGrouped("Q4_K", "Q3_K"),
    Q2_K_S: whereGrouped("Q4_K"),
    IQ3_XXS: ({ grouped, imatrix }) => (grouped ? "Q4_K" : imatrix ? "IQ3_XXS" : "IQ3_S"),
    IQ3_XS: whereGrouped("Q4_K"),
    IQ3_S: whereGrouped("Q4_K"),
    IQ3_M: "Q4_K",
    Q3_K_M: (_, index) => (index < 2 ? "Q5_K" : "Q4_K"),
    Q3_K_L: "Q5_K",
    IQ4_NL: whereGrouped("Q5_K"),
    IQ4_XS: whereGrouped("Q5_K"),
    Q4_K_M: moreBits,
    Q5_K_M: moreBits,
    Q4_K_S: (_, index) => (index < 4 ? "Q5_K" : undefined),
  },
  attn_k: { IQ3_XS: "IQ3_XXS", IQ3_XXS: "IQ2_S" },
  attn_q: { IQ3_XS: "IQ3_XXS", IQ3_XXS: "IQ2_S" },
  attn_output: {
    IQ1_S: "IQ2_XXS",
    IQ1_M: "IQ2_XXS",
    IQ2_S: "IQ3_S",
    IQ2_M: "IQ3_S",
    Q2_K: "Q3_K",
    IQ3_XXS: "IQ3_S",
    IQ3_M: "Q4_K",
    Q3_K_M: "Q4_K",
    Q3_K_L: "Q5_K",
  },
  ffn_down: {
    IQ1_S: whereEarly("Q2_K"),
    IQ1_M: whereEarly("Q2_K"),
    IQ2_XXS: whereEarly("Q2_K"),
    IQ2_XS: whereEarly("Q2_K"),
    IQ2_S: whereEarly("IQ3_S"),
    IQ2_M: whereEarly("IQ3_S"),
    Q2_K: "Q3_K",
    Q2_K_S: whereEarly("Q4_K"),
    IQ3_XXS: (model, index) => (model.imatrix ? undefined : isEarly(model, index) ? "Q4_K" : "Q3_K"),
    IQ3_M: whereEarly("Q4_K"),
    Q3_K_M: ({ layers }, index) => (index < Math.floor(layers / 16) ? "Q5_K" : "Q4_K"),
    Q3_K_L: "Q5_K",
    IQ4_NL: whereEarly("Q5_K", false),
    IQ4_XS: whereEarly("Q5_K", false),
    Q4_K_M: moreBits,
    Q5_K_M: moreBits,
    Q4_K_S: whereEarly("Q5_K"),
    Q4_0: whereEarly("Q4_1", true),
    Q5_0: whereEarly("Q5_1", true),
  },
  ffn_gate: { IQ3_XS: inTheMiddle("IQ3_XXS") },
  ffn_up: { IQ3_XS: inTheMiddle("IQ3_XXS") },
};

const twoBits: readonly QuantizeType[] = ["IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ2_S", "IQ2_M", "IQ1_M"];

/**
 * The block type that llama-quantize gives every tensor of a model: src/llama-quant.cpp of the pinned build, for the
 * `llama` architecture without experts.
 */
export function typesOf(shape: ModelShape, quantization: Quantization): [tensor: Tensor, type: BlockType][] {
  const { type, imatrix, embeddingType, outputType, overrides = [] } = quantization;
  const start = startingTypes[type];
  const isTwoBits = twoBits.includes(type);
  const { layers, heads, kvHeads } = shape;
  const model: Model = { layers, grouped: Math.floor(heads / kvHeads) >= 4, imatrix };
  // Llama 2 and 3 of 70B: eight heads share a value matrix, so that more bits cost little.
  const is70B = layers === 80 && heads !== kvHeads;
  /** How many tensors of each part it has chosen a type for; those with an override are not counted. */
  const counts = new Map<string, number>();

  const outputOf = ({ columns }: Tensor): BlockType => {
    if (outputType) return outputType; // a tied embedding
    if (type === "MXFP4_MOE" || !fits(start, columns)) return "Q8_0";
    if (isTwoBits || type === "IQ3_XXS") return "Q5_K";
    return start === "Q8_0" ? start : "Q6_K";
  };
  const standard = (tensor: Tensor): BlockType => {
    const { part } = tensor;
    if (part === "output" || (shape.tied && part === "token_embd")) return outputOf(tensor);
    if (type === "MXFP4_MOE") return "Q8_0"; // its type is for experts, and there are none
    const index = counts.get(part) ?? 0;
    counts.set(part, index + 1);
    const rule = rules[part]?.[type];
    const chosen = (typeof rule === "function" ? rule(model, index) : rule) ?? start;
    const isLarger = is70B && part === "attn_v" && !isTwoBits && (chosen === "Q3_K" || chosen === "Q4_K");
    return isLarger ? "Q5_K" : chosen;
  };
  const typeOf = (tensor: Tensor): BlockType => {
    if (tensor.rows === 0) return "F32"; // norms
    if (embeddingType && tensor.part === "token_embd") return embeddingType;
    if (outputType && tensor.part === "output") return outputType;
    if (!isQuantized(start)) return start;
    const override = overrides.find(([pattern]) => new RegExp(pattern).test(tensor.name))?.[1];
    return withFallback(override ?? standard(tensor), tensor.columns);
  };
  return tensorsOf(shape).map((tensor) => [tensor, typeOf(tensor)]);
}

function withFallback(type: BlockType, columns: number): BlockType {
  if (fits(type, columns)) return type;
  const fallback = fallbackOf.get(type);
  return fallback !== undefined && fits(fallback, columns) ? fallback : "F16";
}
