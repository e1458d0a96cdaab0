/**
 * Storage types of llama.cpp: weights in one block and bytes of one block (`ggml_type_traits`, ggml.c and
 * ggml-common.h of the pinned source).
 */
export const blockTypes = {
  F32: [1, 4],
  F16: [1, 2],
  BF16: [1, 2],
  Q4_0: [32, 18],
  Q4_1: [32, 20],
  Q5_0: [32, 22],
  Q5_1: [32, 24],
  Q8_0: [32, 34],
  Q2_K: [256, 84],
  Q3_K: [256, 110],
  Q4_K: [256, 144],
  Q5_K: [256, 176],
  Q6_K: [256, 210],
  IQ1_S: [256, 50],
  IQ1_M: [256, 56],
  IQ2_XXS: [256, 66],
  IQ2_XS: [256, 74],
  IQ2_S: [256, 82],
  IQ3_XXS: [256, 98],
  IQ3_S: [256, 110],
  IQ4_NL: [32, 18],
  IQ4_XS: [256, 136],
  TQ1_0: [256, 54],
  TQ2_0: [256, 66],
  Q1_0: [128, 18],
  Q2_0: [64, 18],
  MXFP4: [32, 17],
} as const satisfies Record<string, readonly [weights: number, bytes: number]>;

export type BlockType = keyof typeof blockTypes;

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
