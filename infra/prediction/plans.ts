import { UserError } from "../errors/user-error.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { CacheSettings } from "./memory.ts";
import { predictRelease, type ReleasePrediction } from "./predict.ts";
import { prunedShape } from "./pruned-shape.ts";
import { divergence, expectedLoss } from "./quality.ts";
import type { QuantizeType } from "./quantize-types.ts";
import { parameterCount, type ModelShape } from "./shape.ts";
import { standardTypes } from "./standard-types.ts";

/** What a release has to keep to; what is left out does not matter. */
export interface Limits {
  bytes?: number | undefined;
  ramBytes?: number | undefined;
  tokensPerSecond?: number | undefined;
}

/** A way to make a release: how much is pruned and into what it is quantized. */
export interface CandidatePlan {
  type: QuantizeType;
  /** Asked for in the recipe; 0 for no pruning. */
  parametersRemoved: number;
  release: ReleasePrediction;
}

/** How a plan may be made: what stays as it is in the recipe. */
export interface PlanFrame {
  method: string;
  imatrix: boolean;
  recovers: boolean;
  server: CacheSettings;
}

/** The frame that a recipe gives. */
export function frameOf({ steps: { prune, recover, imatrix } }: Recipe, server: CacheSettings): PlanFrame {
  return {
    method: typeof prune?.method === "string" ? prune.method : "ffn-activation",
    imatrix: imatrix !== undefined,
    recovers: recover !== undefined,
    server,
  };
}

/** Shares that are tried: in steps of 1 % up to half of the model. */
const SHARES = Array.from({ length: 51 }, (_, index) => index / 100);

/** Whether a release keeps to its limits. */
export function keepsTo(release: ReleasePrediction, limits: Limits): boolean {
  return (
    release.fileBytes <= (limits.bytes ?? Infinity) &&
    release.ramBytes <= (limits.ramBytes ?? Infinity) &&
    release.tokensPerSecond >= (limits.tokensPerSecond ?? 0)
  );
}

/**
 * The plan that keeps to the limits at the least expected loss, of all shares and of those types whose loss is known.
 * @returns undefined when none does
 */
export function nearestPlan(base: ModelShape, frame: PlanFrame, limits: Limits): CandidatePlan | undefined {
  const types = standardTypes(frame.imatrix).filter((type) => divergence[type] !== undefined);
  const found = SHARES.flatMap((share): CandidatePlan[] => {
    const shape = share === 0 ? base : shapeAfter(base, frame.method, share);
    if (shape === undefined) return [];
    return types.map((type) => ({
      type,
      parametersRemoved: share,
      release: predictRelease(shape, { type, imatrix: frame.imatrix }, frame.server),
    }));
  }).filter(({ release }) => keepsTo(release, limits));
  const loss = ({ type, parametersRemoved }: CandidatePlan): number => {
    const shape =
      parametersRemoved === 0 ? base : prunedShape(base, { method: frame.method, parametersRemoved });
    return expectedLoss(type, 1 - parameterCount(shape) / parameterCount(base), frame.recovers);
  };
  return found.sort((a, b) => loss(a) - loss(b))[0];
}

function shapeAfter(base: ModelShape, method: string, parametersRemoved: number): ModelShape | undefined {
  try {
    return prunedShape(base, { method, parametersRemoved });
  } catch (error) {
    if (error instanceof UserError) return undefined; // no shape removes just that much
    throw error;
  }
}
