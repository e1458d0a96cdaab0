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

/** Added cross entropy at a share of parameters removed, as pruned and after recovery. */
type Point = readonly [removed: number, pruned: number, recovered: number];

/**
 * What every method costs on SmolLM2-135M, refitted, on held-out news, and what is left of it after 8,192 tokens of
 * recovery: `npm run bench:compression`, whose results a test holds these to.
 */
export const refittedLoss: Record<string, readonly Point[]> = {
  "ffn-second-order": [
    [0.049, 0.1, 0.087],
    [0.099, 0.201, 0.174],
    [0.197, 0.48, 0.424],
    [0.296, 0.806, 0.704],
  ],
  mixed: [
    [0.053, 0.12, 0.091],
    [0.099, 0.213, 0.179],
    [0.202, 0.461, 0.405],
    [0.296, 0.809, 0.708],
  ],
  "ffn-activation": [
    [0.049, 0.128, 0.102],
    [0.099, 0.26, 0.211],
    [0.197, 0.571, 0.486],
    [0.296, 0.943, 0.799],
  ],
  "block-influence": [
    [0.053, 0.12, 0.091],
    [0.105, 0.235, 0.195],
    [0.211, 0.667, 0.573],
    [0.289, 0.999, 0.865],
  ],
  "angular-distance": [
    [0.053, 0.101, 0.081],
    [0.105, 0.233, 0.188],
    [0.211, 0.946, 0.612],
    [0.289, 0.992, 0.896],
  ],
  "attention-groups": [
    [0.066, 0.27, 0.205],
    [0.132, 0.953, 0.827],
  ],
};
/** The methods that it is known of. */
export const measuredMethods = Object.keys(refittedLoss);
/** The largest share that it is known for. */
export const MEASURED_SHARE = 0.3;

/** What short recovery with teacher KL leaves of the loss where nothing was refitted: 0.215 of 0.318. */
const LEFT_AFTER_RECOVERY = 0.68;
/** The same without a refit: FFN width by activation. */
const unrefittedLoss: readonly Point[] = (
  [
    [0.05, 0.132],
    [0.1, 0.319],
    [0.2, 0.99],
    [0.3, 2.2],
  ] as const
).map(([removed, pruned]) => [removed, pruned, LEFT_AFTER_RECOVERY * pruned]);

/** How a model is pruned, as far as its loss follows from that. */
export interface PrunedBy {
  method: string;
  refitted: boolean;
  /** Share of the parameters. */
  removed: number;
  recovers: boolean;
}

/** Expected loss of a plan in nats per token; infinite where nothing is known of the type. */
export function expectedLoss(type: QuantizeType, pruned?: PrunedBy): number {
  return (divergence[type] ?? Infinity) + (pruned === undefined ? 0 : pruningLoss(pruned));
}

/** On straight lines between what was measured; beyond the last the line goes on. */
function pruningLoss({ method, refitted, removed, recovers }: PrunedBy): number {
  const measured = (refitted ? refittedLoss[method] : undefined) ?? unrefittedLoss;
  const points: readonly (readonly [number, number])[] = [
    [0, 0],
    ...measured.map(([share, pruned, recovered]) => [share, recovers ? recovered : pruned] as const),
  ];
  const upper = points.findIndex(([share]) => share >= removed);
  const index = upper === -1 ? points.length - 1 : Math.max(1, upper);
  const [[x0, y0], [x1, y1]] = [points[index - 1] ?? [0, 0], points[index] ?? [1, 1]];
  return y0 + ((removed - x0) * (y1 - y0)) / (x1 - x0);
}
