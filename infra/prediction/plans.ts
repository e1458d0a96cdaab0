import { formatBytes } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { CacheSettings } from "./memory.ts";
import { predictRelease, type ReleasePrediction } from "./predict.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import { divergence, expectedLoss, MEASURED_SHARE, measuredMethods } from "./quality.ts";
import type { QuantizeType } from "./quantize-types.ts";
import { parameterCount, type ModelShape } from "./shape.ts";
import { formatSpeed } from "./speed.ts";
import { standardTypes } from "./standard-types.ts";

/** What a release must meet, sizes in bytes; what is left out does not matter. */
export interface Limits {
  fileBytes?: number | undefined;
  memoryBytes?: number | undefined;
  tokensPerSecond?: number | undefined;
}

/** A way to make a release: how it is pruned, if it is, and into what it is quantized. */
export interface CandidatePlan {
  type: QuantizeType;
  pruning: Pruning | undefined;
  release: ReleasePrediction;
  /** Expected, in nats per token. */
  loss: number;
}

/** How a plan may be made: what stays as it is in the recipe. */
export interface PlanFrame {
  imatrix: boolean;
  recovers: boolean;
  server: CacheSettings;
}

/** The frame that a recipe gives. */
export function frameOf({ steps: { recover, imatrix } }: Recipe, server: CacheSettings): PlanFrame {
  return { imatrix: imatrix !== undefined, recovers: recover !== undefined, server };
}

/**
 * Methods that are proposed. What `mixed` finds has a shape, and with it a size and a speed, that nobody knows before it has
 * searched.
 */
const proposed = measuredMethods.filter((method) => method !== "mixed");
/** Shares that are tried, in steps of 1 %. What more costs was not measured; a smaller model is the better way there. */
const shares = Array.from({ length: 100 * MEASURED_SHARE }, (_, index) => (index + 1) / 100);

/** Whether a release keeps to its limits. */
export function keepsTo(release: ReleasePrediction, limits: Limits): boolean {
  return (
    release.fileBytes <= (limits.fileBytes ?? Infinity) &&
    release.memoryBytes <= (limits.memoryBytes ?? Infinity) &&
    release.tokensPerSecond >= (limits.tokensPerSecond ?? 0)
  );
}

/**
 * The plan that keeps to the limits at the least expected loss, of all methods, shares and those types whose loss is known.
 * @returns undefined when none does
 */
export function bestPlan(base: ModelShape, frame: PlanFrame, limits: Limits): CandidatePlan | undefined {
  const types = standardTypes(frame.imatrix).filter((type) => divergence[type] !== undefined);
  const plans = candidateShapes(base).flatMap(({ shape, ways }) =>
    types.flatMap((type): CandidatePlan[] => {
      const release = predictRelease(shape, { type, imatrix: frame.imatrix }, frame.server);
      if (!keepsTo(release, limits)) return [];
      return ways.map((pruning) => ({
        ...{ type, pruning, release },
        loss: lossOf(base, shape, type, pruning && { ...pruning, reconstruct: true }, frame.recovers),
      }));
    }),
  );
  return plans.sort((a, b) => a.loss - b.loss)[0];
}

/** Expected loss of a model of one shape and type, in nats per token; infinite where nothing is known of the type. */
export function lossOf(
  base: ModelShape,
  shape: ModelShape,
  type: QuantizeType,
  pruning: (Pruning & { reconstruct?: boolean }) | undefined,
  recovers: boolean,
): number {
  const removed = 1 - parameterCount(shape) / parameterCount(base);
  const refitted = pruning?.reconstruct !== false;
  return expectedLoss(type, pruning && { method: pruning.method, refitted, removed, recovers });
}

/** Every shape that can be had, with the ways to get there: methods differ in what is lost, seldom in what is left. */
function candidateShapes(base: ModelShape): { shape: ModelShape; ways: (Pruning | undefined)[] }[] {
  const found = new Map([
    [JSON.stringify(base), { shape: base, ways: [undefined] as (Pruning | undefined)[] }],
  ]);
  for (const method of proposed)
    for (const pruningRatio of shares) {
      const pruning = { method, pruningRatio };
      const shape = shapeAfter(base, pruning);
      if (shape === undefined) continue;
      const key = JSON.stringify(shape);
      const { ways } = found.get(key) ?? { ways: [] };
      // The first share of several that come to the same.
      if (!ways.some((way) => way?.method === method)) found.set(key, { shape, ways: [...ways, pruning] });
    }
  return [...found.values()];
}

function shapeAfter(base: ModelShape, pruning: Pruning): ModelShape | undefined {
  try {
    return prunedShape(base, pruning);
  } catch (error) {
    if (error instanceof UserError) return undefined; // no shape removes just that much
    throw error;
  }
}

/** A plan in the words of a recipe, and what it is predicted to cost. */
export function describeCandidate({ type, pruning, release }: CandidatePlan): string {
  const prune =
    pruning === undefined
      ? "no pruning"
      : `prune: { method: ${pruning.method}, pruningRatio: ${pruning.pruningRatio} }`;
  return (
    `${prune}, quantize.type: ${type} ` +
    `(${formatBytes(release.fileBytes)}, ${formatBytes(release.memoryBytes)} of memory, ` +
    `about ${formatSpeed(release.tokensPerSecond)} tokens/s)`
  );
}
