import { formatBytes, parseBytes } from "../config/units.ts";
import type { Recipe, Targets } from "../recipe/recipe.ts";
import type { CacheSettings } from "./memory.ts";
import { bestPlan, frameOf, lossOf, type CandidatePlan, type Limits } from "./plans.ts";
import type { Prediction } from "./predict.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import { formatSpeed } from "./speed.ts";

/** How much less another plan has to be expected to lose before it is worth a word: the figures are no better than that. */
const WORTH_A_WORD = 0.9;

/**
 * Says whether a recipe is the best plan for what it has to keep to, or which one is expected to lose less. Where it has no
 * targets, it is compared with what is no larger and no slower.
 * @returns undefined where nothing can be said: types by search or by tensor, whose loss nobody knows before
 */
export function compareWithBest(
  recipe: Recipe,
  { base, release, models }: Prediction,
  server: CacheSettings,
): string | undefined {
  const { prune, quantize } = recipe.steps as { prune?: Pruning; quantize: object };
  const quantization = models.get("quantize")?.quantization;
  if (quantization === undefined || Object.keys(quantize).some((key) => key !== "type")) return undefined;
  const frame = frameOf(recipe, server);
  const limits = limitsOf(recipe.targets ?? {});
  const hasTargets = Object.values(limits).some((limit) => limit !== undefined);
  const best = bestPlan(base, frame, hasTargets ? limits : noWorseThan(release));
  if (best === undefined) return undefined;
  const shape = prune === undefined ? base : prunedShape(base, prune);
  const own = lossOf(base, shape, quantization.type, prune, frame.recovers);
  const within = hasTargets ? "within the targets" : "at no larger size and no lower speed";
  return best.loss < WORTH_A_WORD * own
    ? `less loss is expected, ${within}, of: ${describeBest(best)}`
    : `none is expected to lose clearly less ${within}`;
}

/** Targets as numbers; sizes may be written with their unit. */
export function limitsOf({ bytes, ramBytes, tokensPerSecond }: Targets): Limits {
  const size = (value: number | string | undefined): number | undefined =>
    typeof value === "string" ? parseBytes(value) : value;
  return { bytes: size(bytes), ramBytes: size(ramBytes), tokensPerSecond };
}

function noWorseThan({ fileBytes, tokensPerSecond }: Prediction["release"]): Limits {
  return { bytes: fileBytes, tokensPerSecond };
}

/** A plan in the words of a recipe, and what it is predicted to cost. */
export function describeBest({ type, pruning, release }: CandidatePlan): string {
  const prune =
    pruning === undefined
      ? "no pruning"
      : `prune: { method: ${pruning.method}, parametersRemoved: ${pruning.parametersRemoved} }`;
  return (
    `${prune}, quantize.type: ${type} ` +
    `(${formatBytes(release.fileBytes)}, ${formatBytes(release.ramBytes)} of memory, ` +
    `about ${formatSpeed(release.tokensPerSecond)} tokens/s)`
  );
}
