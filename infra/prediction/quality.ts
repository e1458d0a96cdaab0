import type { QuantizeType } from "./quantize-types.ts";

/*
 * What quantizing and pruning cost in quality, in nats per token, good enough to rank plans and for nothing else: what a
 * plan really costs is measured by the stages `evaluate`.
 */

/** KL divergence from the unquantized model: Llama-3-8B with an importance matrix, as published with llama.cpp. */
export const divergence: Partial<Record<QuantizeType, number>> = {
  Q8_0: 0.0014,
  Q6_K: 0.0055,
  Q5_K_M: 0.0108,
  Q4_K_M: 0.028,
  Q4_K_S: 0.032,
  IQ4_XS: 0.036,
  Q3_K_L: 0.073,
  Q3_K_M: 0.084,
  IQ3_M: 0.103,
  Q3_K_S: 0.2,
  IQ2_M: 0.326,
  Q2_K: 0.332,
};

/** Added cross entropy by share of parameters removed: FFN width by activation, SmolLM2-135M, held-out news. */
const pruningLoss: readonly (readonly [share: number, nats: number])[] = [
  [0, 0],
  [0.05, 0.132],
  [0.1, 0.319],
  [0.2, 0.99],
  [0.3, 2.2],
];
/** What short recovery with teacher KL left of it, there: 0.215 of 0.318. */
const LEFT_AFTER_RECOVERY = 0.68;

/** Expected loss of a plan in nats per token; beyond the last measurement the last slope goes on. */
export function expectedLoss(type: QuantizeType, parametersRemoved: number, recovers: boolean): number {
  const upper = pruningLoss.findIndex(([share]) => share >= parametersRemoved);
  const index = upper === -1 ? pruningLoss.length - 1 : Math.max(1, upper);
  const [[x0, y0], [x1, y1]] = [pruningLoss[index - 1] ?? [0, 0], pruningLoss[index] ?? [1, 1]];
  const pruned = y0 + ((parametersRemoved - x0) * (y1 - y0)) / (x1 - x0);
  return (divergence[type] ?? Infinity) + pruned * (recovers ? LEFT_AFTER_RECOVERY : 1);
}
