// From bench/results/a72.json, which `npm run bench:a72` writes, with `npm run generate`; change that instead.
import type { BlockType } from "./block-types.ts";

/** Cycles per weight and column of our kernels: of four columns at a time (`prompt`), and of one (`generation`). */
export const kernelCycles: Readonly<Partial<Record<BlockType, { prompt: number; generation: number }>>> = {
  Q4_0: { prompt: 0.1515, generation: 0.1868 },
  Q8_0: { prompt: 0.1524, generation: 0.171 },
  Q2_K: { prompt: 0.1784, generation: 0.227 },
  Q3_K: { prompt: 0.1838, generation: 0.3275 },
  Q4_K: { prompt: 0.1464, generation: 0.1811 },
  Q5_K: { prompt: 0.1652, generation: 0.2611 },
  Q6_K: { prompt: 0.1771, generation: 0.3101 },
  IQ4_NL: { prompt: 0.1885, generation: 0.2804 },
  IQ4_XS: { prompt: 0.1738, generation: 0.2852 },
  IQ3_S: { prompt: 0.241, generation: 0.6082 },
  IQ3_XXS: { prompt: 0.2528, generation: 0.6227 },
  IQ2_S: { prompt: 0.2291, generation: 0.4872 },
  IQ2_XS: { prompt: 0.2333, generation: 0.5065 },
  IQ2_XXS: { prompt: 0.2126, generation: 0.4724 },
};
