/**
 * Storage types of llama.cpp: weights in one block and bytes of one block (`ggml_type_traits`, ggml.c and
 * ggml-common.h of the pinned source), and what a dot product takes on a Cortex-A72, in cycles per weight: instructions
 * of `vec_dot` counted under emulation, cycles from llvm-mca's cortex-a72. Types that were not counted have the figure of
 * the nearest kind that was: Q5_1 that of Q5_0, 1- and 2-bit i-quants and ternary types that of IQ2_S, Q1_0 and Q2_0 that
 * of Q2_K, MXFP4 that of IQ4_NL, plain numbers that of Q8_0 (memory decides there).
 */
const blockTypes = {
  F32: [1, 4, 0.328],
  F16: [1, 2, 0.328],
  BF16: [1, 2, 0.328],
  Q4_0: [32, 18, 0.367],
  Q4_1: [32, 20, 0.391],
  Q5_0: [32, 22, 0.562],
  Q5_1: [32, 24, 0.562],
  Q8_0: [32, 34, 0.328],
  Q2_K: [256, 84, 0.375],
  Q3_K: [256, 110, 0.797],
  Q4_K: [256, 144, 0.352],
  Q5_K: [256, 176, 0.438],
  Q6_K: [256, 210, 0.438],
  IQ1_S: [256, 50, 0.809],
  IQ1_M: [256, 56, 0.809],
  IQ2_XXS: [256, 66, 0.809],
  IQ2_XS: [256, 74, 0.809],
  IQ2_S: [256, 82, 0.809],
  IQ3_XXS: [256, 98, 1.05],
  IQ3_S: [256, 110, 1.28],
  IQ4_NL: [32, 18, 0.453],
  IQ4_XS: [256, 136, 0.426],
  TQ1_0: [256, 54, 0.809],
  TQ2_0: [256, 66, 0.809],
  Q1_0: [128, 18, 0.375],
  Q2_0: [64, 18, 0.375],
  MXFP4: [32, 17, 0.453],
} as const satisfies Record<string, readonly [weights: number, bytes: number, cycles: number]>;

export type BlockType = keyof typeof blockTypes;
/** All of them. */
export const storedTypes = Object.keys(blockTypes) as BlockType[];

/** Whether a type stores blocks with a scale, rather than plain numbers. */
export function isQuantized(type: BlockType): boolean {
  return blockTypes[type][0] > 1;
}

/** Whether rows of that many columns divide into whole blocks. */
export function fits(type: BlockType, columns: number): boolean {
  return columns % blockTypes[type][0] === 0;
}

/** Bytes of `weights` stored in a type; a whole number of blocks. */
export function storedBytes(type: BlockType, weights: number): number {
  const [perBlock, bytes] = blockTypes[type];
  return (weights / perBlock) * bytes;
}

/** Bits that one weight takes in a type. */
export function storedBits(type: BlockType): number {
  return 8 * storedBytes(type, 1);
}

/** Cycles that a dot product with `weights` of a type takes on one core of a Raspberry Pi 4. */
export function dotProductCycles(type: BlockType, weights: number): number {
  return weights * blockTypes[type][2];
}
