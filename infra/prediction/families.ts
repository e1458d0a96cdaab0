import type { QuantizeType } from "./quantize-types.ts";

/** Models of several sizes that were scored alike by who made them. */
export interface Family {
  /** As a sentence says it: `in MMLU`. */
  benchmark: string;
  /** The largest first: the recipe in `models/recipes/` that has its shape, its name, and its score in per cent, unquantized. */
  members: readonly { recipe: string; model: string; score: number }[];
  /** What quantization leaves of the score, where somebody measured it on one of them. */
  quantized?: QuantizedScores;
}

/** Scores of one model, unquantized and in types of llama-quantize, in per cent. */
export interface QuantizedScores {
  unquantized: number;
  /** What guessing gets. */
  chance: number;
  byType: Partial<Record<QuantizeType, number>>;
}

/**
 * MMLU of Llama-3-8B-Instruct, all 14,042 questions, in GGUF files made with importance matrices:
 * github.com/matt-c1/llama-3-quant-comparison, read on 2026-11-30.
 */
const mmluQuantized: QuantizedScores = {
  unquantized: 65.2,
  chance: 25,
  byType: {
    Q8_0: 65.23,
    Q6_K: 65.06,
    Q5_K_M: 64.9,
    Q5_K_S: 64.88,
    Q4_K_M: 64.64,
    Q4_K_S: 64.63,
    IQ4_NL: 64.33,
    IQ4_XS: 64.39,
    Q3_K_L: 62.85,
    Q3_K_M: 62.89,
    IQ3_M: 62.55,
    IQ3_S: 62.13,
    IQ3_XS: 61.19,
    IQ3_XXS: 60.52,
    Q3_K_S: 59.14,
    IQ2_M: 57.56,
    Q2_K: 55.9,
    IQ2_S: 53.98,
    IQ2_XS: 49.98,
    IQ2_XXS: 43.5,
    IQ1_M: 28.83,
    IQ1_S: 26.47,
  },
};

/** Read on 2026-11-30. Families whose scores could not be read in the makers' own words are left out. */
export const families: readonly Family[] = [
  {
    // Model card of Llama 3.2, "Instruction Tuned Models": five shots, macro_avg/acc, bf16; the same evaluation for all three.
    benchmark: "MMLU",
    members: [
      { recipe: "llama-3.1-8b", model: "Llama 3.1 8B", score: 69.4 },
      { recipe: "llama-3.2-3b", model: "Llama 3.2 3B", score: 63.4 },
      { recipe: "llama-3.2-1b", model: "Llama 3.2 1B", score: 49.3 },
    ],
    quantized: mmluQuantized,
  },
  {
    // Model cards of SmolLM2-1.7B-Instruct, -360M-Instruct and -135M-Instruct: no shots, lighteval.
    benchmark: "HellaSwag",
    members: [
      { recipe: "smollm2-1.7b", model: "SmolLM2 1.7B", score: 66.1 },
      { recipe: "smollm2-360m", model: "SmolLM2 360M", score: 52.1 },
      { recipe: "smollm2-135m", model: "SmolLM2 135M", score: 40.9 },
    ],
  },
];
