import type { BlockType } from "./block-types.ts";

/**
 * Constants of a Raspberry Pi 4: four Cortex-A72 at 1.5 GHz, NEON without dotprod. They are a model, not a measurement
 * on a board: instructions of llama.cpp's `vec_dot` counted under emulation, cycles from llvm-mca's cortex-a72, and the
 * bandwidth fitted on published runs of Llama-3-8B in Q4_0 (0.73-0.79 tokens/s). It then gives 0.82 for Q2_K, where
 * 0.84-0.87 were measured, and is 15-18 % high on models of 2B. A measurement on a board belongs in here.
 */
export const board = {
  cores: 4,
  hertz: 1.5e9,
  bytesPerSecond: 5.1e9,
};

/**
 * Cycles per weight of a dot product. Types that were not counted have the figure of the nearest kind that was: q5_1
 * that of q5_0, 1- and 2-bit i-quants and ternary types that of iq2_s, q1_0 and q2_0 that of q2_K, mxfp4 that of iq4_nl,
 * plain numbers that of q8_0 (memory decides there).
 */
export const cyclesPerWeight: Record<BlockType, number> = {
  Q4_K: 0.352,
  Q4_0: 0.367,
  IQ4_XS: 0.426,
  IQ4_NL: 0.453,
  Q4_1: 0.391,
  Q5_K: 0.438,
  Q3_K: 0.797,
  Q5_0: 0.562,
  Q6_K: 0.438,
  Q8_0: 0.328,
  Q2_K: 0.375,
  IQ2_S: 0.809,
  IQ3_XXS: 1.05,
  IQ3_S: 1.28,
  Q5_1: 0.562,
  IQ2_XS: 0.809,
  IQ2_XXS: 0.809,
  IQ1_M: 0.809,
  IQ1_S: 0.809,
  TQ2_0: 0.809,
  TQ1_0: 0.809,
  Q1_0: 0.375,
  Q2_0: 0.375,
  MXFP4: 0.453,
  F16: 0.328,
  BF16: 0.328,
  F32: 0.328,
};
