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

/** Largest block type of a row that a type's blocks do not divide (`tensor_type_fallback`). */
const fallbacks: Partial<Record<BlockType, BlockType>> = {
  IQ1_S: "IQ4_NL",
  IQ1_M: "IQ4_NL",
  IQ2_XXS: "IQ4_NL",
  IQ2_XS: "IQ4_NL",
  IQ2_S: "IQ4_NL",
  IQ3_XXS: "IQ4_NL",
  IQ3_S: "IQ4_NL",
  IQ4_XS: "IQ4_NL",
  Q2_K: "Q4_0",
  Q3_K: "Q4_0",
  TQ1_0: "Q4_0",
  TQ2_0: "Q4_0",
  Q2_0: "Q4_0",
  Q4_K: "Q5_0",
  Q5_K: "Q5_1",
  Q6_K: "Q8_0",
};

/**
 * The block type that llama-quantize gives every tensor of a model: src/llama-quant.cpp of the pinned build, for the
 * `llama` architecture without experts.
 */
export function typesOf(shape: ModelShape, quantization: Quantization): [tensor: Tensor, type: BlockType][] {
  const choice = new TypeChoice(shape, quantization);
  return tensorsOf(shape).map((tensor) => [tensor, choice.of(tensor)]);
}

/** llama-quantize's state while it goes through the tensors in order. */
class TypeChoice {
  /** How many value and FFN-down matrices it has chosen a type for; those with an override are not counted. */
  private values = 0;
  private downs = 0;
  private gates = 0;
  private ups = 0;

  constructor(
    private readonly shape: ModelShape,
    private readonly quantization: Quantization,
  ) {}

  of(tensor: Tensor): BlockType {
    const { type, embeddingType, outputType, overrides = [] } = this.quantization;
    if (tensor.rows === 0) return "F32"; // norms
    if (embeddingType && tensor.part === "token_embd") return embeddingType;
    if (outputType && tensor.part === "output") return outputType;
    const start = startingTypes[type];
    if (!isQuantized(start)) return start;
    const override = overrides.find(([pattern]) => new RegExp(pattern).test(tensor.name))?.[1];
    return withFallback(override ?? this.standard(tensor, start), tensor.columns);
  }

  /** `llama_tensor_get_type_impl`. */
  private standard(tensor: Tensor, start: BlockType): BlockType {
    const { tied } = this.shape;
    const { part } = tensor;
    if (part === "output" || (tied && part === "token_embd")) return this.output(tensor, start);
    if (this.is("MXFP4_MOE")) return "Q8_0"; // its type is for experts, and there are none
    if (part === "token_embd") return this.embedding(start);
    if (this.isTwoBits()) return this.twoBits(part, start);
    if (part === "attn_v") return this.value(start);
    if (part === "attn_k" || part === "attn_q") return this.keyOrQuery(start);
    if (part === "ffn_down") return this.down(start);
    if (part === "attn_output") return this.attentionOutput(start);
    if (part === "ffn_gate") return this.gateOrUp(start, this.gates++);
    return this.gateOrUp(start, this.ups++);
  }

  private output({ columns }: Tensor, start: BlockType): BlockType {
    if (this.quantization.outputType) return this.quantization.outputType; // a tied embedding
    if (this.is("MXFP4_MOE") || !fits(start, columns)) return "Q8_0";
    if (this.isTwoBits() || this.is("IQ3_XXS")) return "Q5_K";
    return start === "Q8_0" ? start : "Q6_K";
  }

  private embedding(start: BlockType): BlockType {
    if (this.is("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M")) return "Q2_K";
    if (this.is("IQ2_S", "IQ2_M", "IQ3_XXS")) return "IQ3_S";
    return this.is("TQ1_0", "TQ2_0", "Q2_0") ? "Q4_K" : start;
  }

  private twoBits(part: string, start: BlockType): BlockType {
    const larger = this.is("IQ2_S", "IQ2_M") ? "IQ3_S" : "Q2_K";
    if (part === "attn_v") return this.isGrouped() ? "Q4_K" : larger;
    if (part === "ffn_down") return this.downs++ < this.eighth() ? larger : start;
    if (part !== "attn_output") return start;
    if (this.is("IQ1_S", "IQ1_M")) return "IQ2_XXS";
    return this.is("IQ2_S", "IQ2_M") ? "IQ3_S" : start;
  }

  private value(start: BlockType): BlockType {
    const index = this.values++;
    const type = this.valueByType(index, start);
    // Llama 2 and 3 of 70B: eight heads share a value matrix, so that more bits cost little.
    const is70B = this.shape.layers === 80 && this.shape.heads !== this.shape.kvHeads;
    return is70B && (type === "Q3_K" || type === "Q4_K") ? "Q5_K" : type;
  }

  private valueByType(index: number, start: BlockType): BlockType {
    const grouped = this.isGrouped();
    switch (this.quantization.type) {
      case "Q2_K":
        return grouped ? "Q4_K" : "Q3_K";
      case "Q2_K_S":
        return grouped ? "Q4_K" : start;
      case "IQ3_XXS":
        return grouped ? "Q4_K" : this.quantization.imatrix ? "IQ3_XXS" : "IQ3_S";
      case "IQ3_XS":
      case "IQ3_S":
        return grouped ? "Q4_K" : start;
      case "IQ3_M":
        return "Q4_K";
      case "Q3_K_M":
        return index < 2 ? "Q5_K" : "Q4_K";
      case "Q3_K_L":
        return "Q5_K";
      case "IQ4_NL":
      case "IQ4_XS":
        return grouped ? "Q5_K" : start;
      case "Q4_K_M":
      case "Q5_K_M":
        return this.deservesMoreBits(index) ? "Q6_K" : start;
      case "Q4_K_S":
        return index < 4 ? "Q5_K" : start;
      default:
        return start;
    }
  }

  private keyOrQuery(start: BlockType): BlockType {
    if (this.is("IQ3_XS")) return "IQ3_XXS";
    return this.is("IQ3_XXS") ? "IQ2_S" : start;
  }

  private down(start: BlockType): BlockType {
    const index = this.downs++;
    const { type, imatrix } = this.quantization;
    const early = index < this.eighth();
    switch (type) {
      case "Q2_K":
        return "Q3_K";
      case "Q2_K_S":
        return early ? "Q4_K" : start;
      case "IQ3_XXS":
        return imatrix ? start : early ? "Q4_K" : "Q3_K";
      case "Q3_K_M":
        return index < Math.floor(this.shape.layers / 16) ? "Q5_K" : "Q4_K";
      case "IQ3_M":
        return early ? "Q4_K" : start;
      case "Q3_K_L":
        return "Q5_K";
      case "Q4_K_M":
      case "Q5_K_M":
        return this.deservesMoreBits(index) ? "Q6_K" : start;
      case "IQ4_NL":
      case "IQ4_XS":
        return early && !imatrix ? "Q5_K" : start;
      case "Q4_K_S":
        return early ? "Q5_K" : start;
      case "Q4_0":
        return early && imatrix ? "Q4_1" : start;
      case "Q5_0":
        return early && imatrix ? "Q5_1" : start;
      default:
        return start;
    }
  }

  private attentionOutput(start: BlockType): BlockType {
    switch (this.quantization.type) {
      case "Q2_K":
        return "Q3_K";
      case "IQ3_XXS":
        return "IQ3_S";
      case "Q3_K_M":
      case "IQ3_M":
        return "Q4_K";
      case "Q3_K_L":
        return "Q5_K";
      default:
        return start;
    }
  }

  private gateOrUp(start: BlockType, index: number): BlockType {
    const middle = index >= this.eighth() && index < this.sevenEighths();
    return this.is("IQ3_XS") && middle ? "IQ3_XXS" : start;
  }

  private is(...types: QuantizeType[]): boolean {
    return types.includes(this.quantization.type);
  }

  private isTwoBits(): boolean {
    return this.is("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ2_S", "IQ2_M", "IQ1_M");
  }

  /** Four query heads or more share a key head. */
  private isGrouped(): boolean {
    return Math.floor(this.shape.heads / this.shape.kvHeads) >= 4;
  }

  private eighth(): number {
    return Math.floor(this.shape.layers / 8);
  }

  private sevenEighths(): number {
    return Math.floor((7 * this.shape.layers) / 8);
  }

  /** `use_more_bits`: the first and last eighth, and every third in between. */
  private deservesMoreBits(index: number): boolean {
    const eighth = this.eighth();
    return index < eighth || index >= this.sevenEighths() || (index - eighth) % 3 === 2;
  }
}

function withFallback(type: BlockType, columns: number): BlockType {
  if (fits(type, columns)) return type;
  const smaller = fallbacks[type] ?? type;
  return fits(smaller, columns) ? smaller : "F16";
}
