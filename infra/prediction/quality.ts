import { isQuantized } from "./block-types.ts";
import { startingTypes, type QuantizeType } from "./quantize-types.ts";
import { typeLoss, type Nats } from "./type-losses.ts";

/*
 * What quantizing and pruning cost in quality, in nats per token, good enough to rank plans and for nothing else: what a
 * plan really costs is measured by the stages `evaluate`.
 */

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
  // Controls, without a refit.
  random: [
    [0.049, 0.569, 0.351],
    [0.099, 1.418, 0.789],
    [0.197, 4.006, 1.968],
    [0.296, 7.725, 4.304],
  ],
  magnitude: [
    [0.099, 9.336, 4.512],
    [0.197, 9.914, 5.152],
    [0.296, 9.381, 5.791],
  ],
};
/** The methods that it is known of, and the two of them that are there to be compared with. */
export const measuredMethods = Object.keys(refittedLoss);
export const controls: readonly string[] = ["random", "magnitude"];
/** The largest share that it is known for. */
export const MEASURED_SHARE = 0.3;

/**
 * What widths that differ between layers leave of the loss of one width, by the share removed: `npm run bench:compression --
 * --only ffn-widths`, in KL divergence from the base, under conditions of its own, so that only their ratio is taken.
 */
export const leftByWidths: readonly Point[] = [
  [0.099, 0.6435, 0.6842],
  [0.197, 0.7939, 0.8111],
];

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
  /** FFN widths differ between layers. */
  perLayer: boolean;
  refitted: boolean;
  /** Share of the parameters. */
  removed: number;
  recovers: boolean;
}

/** How a model is quantized, as far as its loss follows from that. */
export interface QuantizedTo {
  type: QuantizeType;
  imatrix: boolean;
  /** Recovery trained the weights for just this type (`recover.quantizationAware`). */
  aware: boolean;
  /** Of the file; counts where recovery is aware. */
  bitsPerWeight: number;
  /** Of the unpruned model. */
  parameters: number;
}

/** Expected loss of a plan, in nats per token. */
export interface Loss {
  quantizing: number;
  pruning: number;
  /** Standard error of the figures on the model and text that they were measured on. */
  measured: number;
}

/**
 * What recovery that knows its type leaves of the type's loss, by bits a weight: `npm run bench:recovery-types` on a
 * SmolLM2-135M, 65,536 tokens, to whose results a test holds these.
 */
export const leftByAwareness: readonly (readonly [bitsPerWeight: number, factor: number, error: number])[] = [
  [3.18, 0.4604, 0.0117],
  [3.6, 0.5237, 0.014],
  [4.14, 0.5692, 0.0162],
];

/**
 * Quantization costs a small model more. Our SmolLM2-135M loses 4.05 times what Llama-3-8B does, the geometric mean of eight
 * types (`bench:recovery-types`, unpruned, against `type-losses.ts`); between them, and beyond, a power of the parameters.
 */
const PUBLISHED_PARAMETERS = 8.03e9;
const SIZE_EXPONENT = 0.342;

/**
 * How far a type's loss may lie from its place among the other types on another model, relative to itself: one standard
 * deviation. The logarithms of what SmolLM2-135M loses of Llama-3-8B's loss scatter by 0.15 over eight types with an importance
 * matrix; those of Llama-2-7B (same README) by 0.25 over four without one; 0.19 over all of them. By how much all types
 * together cost another model more or less is not in it: that changes no rank.
 */
export const TYPE_SPREAD = 0.19;

/**
 * The same for what pruning costs beside what quantizing costs. Two pairs of models are known: SliceGPT loses 2.6 times
 * as many nats on Llama-3.1-8B as on Llama-2-7B (5.47 to 6.86, 6.24 to 11.31 at 20 %), types lose 3.1 times as many; LLM-Pruner
 * loses 0.71 nats on Llama-3.1-8B, Torch-Pruning by the same score 0.88 on SmolLM2-135M. Their logarithms are 0.2 off.
 * Twice that is taken, because two pairs are few and none is of our methods.
 */
export const PRUNING_SPREAD = 0.4;

/** Expected loss of a plan. */
export function expectedLoss(quantized: QuantizedTo, pruned?: PrunedBy): Loss {
  const { type, imatrix, parameters } = quantized;
  const { nats, error } = typeLoss(type, imatrix);
  const left = leftAfterAwareness(quantized);
  const level = (PUBLISHED_PARAMETERS / parameters) ** SIZE_EXPONENT;
  return {
    quantizing: level * left.nats * nats,
    pruning: pruned === undefined ? 0 : pruningLoss(pruned),
    measured: level * Math.hypot(left.nats * error, left.error * nats),
  };
}

export function total({ quantizing, pruning }: Loss): number {
  return quantizing + pruning;
}

/**
 * Standard error of the difference between two plans' losses: what was measured, how far types and methods may lie elsewhere on
 * another model, and how far pruning may beside quantizing. What both plans share cancels.
 * @param differing share of the weights that the two store in different types, 0 to 1
 * @param sameMethod both are pruned by the same method, or neither is
 */
export function differenceError(one: Loss, other: Loss, differing: number, sameMethod: boolean): number {
  const types = TYPE_SPREAD * differing * Math.hypot(one.quantizing, other.quantizing);
  const methods = sameMethod ? 0 : TYPE_SPREAD * Math.hypot(one.pruning, other.pruning);
  const exchange = PRUNING_SPREAD * (one.pruning - other.pruning);
  return Math.hypot(types, methods, exchange, differing * one.measured, differing * other.measured);
}

/** On straight lines between what was measured; above, the last line goes on, up to no gain; below, the first factor stays. */
function leftAfterAwareness({ type, aware, bitsPerWeight }: QuantizedTo): Nats {
  if (!aware || !isQuantized(startingTypes[type])) return { nats: 1, error: 0 };
  const at = (index: 1 | 2): number =>
    onLines(
      leftByAwareness.map((point) => [point[0], point[index]] as const),
      bitsPerWeight,
    );
  const [fewest, least = 1, error = 0] = leftByAwareness[0] ?? [0];
  if (bitsPerWeight <= fewest) return { nats: least, error };
  return { nats: Math.min(1, at(1)), error: at(2) };
}

/** On straight lines between what was measured. */
function pruningLoss({ method, perLayer, refitted, removed, recovers }: PrunedBy): number {
  const known = refitted || controls.includes(method) ? refittedLoss[method] : undefined;
  const measured = known ?? unrefittedLoss;
  const points = measured.map(
    ([share, pruned, recovered]) => [share, recovers ? recovered : pruned] as const,
  );
  return onLines([[0, 0], ...points], removed) * (perLayer ? leftAt(removed, recovers) : 1);
}

/** On straight lines between what was measured; outside, the nearest factor stays. */
function leftAt(removed: number, recovers: boolean): number {
  const points = leftByWidths.map(([at, pruned, recovered]) => [at, recovers ? recovered : pruned] as const);
  const known = points.map(([at]) => at);
  return onLines(points, Math.min(Math.max(removed, Math.min(...known)), Math.max(...known)));
}

/** On straight lines between points, in the order of their x; beyond the last the line goes on. */
export function onLines(points: readonly (readonly [x: number, y: number])[], x: number): number {
  const upper = points.findIndex(([known]) => known >= x);
  const index = upper === -1 ? points.length - 1 : Math.max(1, upper);
  const [[x0, y0], [x1, y1]] = [points[index - 1] ?? [0, 0], points[index] ?? [1, 1]];
  return y0 + ((x - x0) * (y1 - y0)) / (x1 - x0);
}
