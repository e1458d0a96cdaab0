import type { Recipe } from "../recipe/recipe.ts";
import { bestPlan, describeCandidate, frameOf, meets, lossOf } from "./plans.ts";
import type { Prediction } from "./predict.ts";
import type { HostsAlike } from "./host-settings.ts";
import { limitsOf, mostDemanding } from "./limits.ts";

/** How much less another plan has to be expected to lose for preview to propose it: the figures are no better than that. */
const CLEARLY_LESS = 0.9;

/**
 * Says whether a recipe is the best plan within its limits, or which one is expected to lose less. Where it has no
 * limits, it is compared with what is no larger and no slower.
 * @param settings of llama-server on the hosts
 * @returns undefined where nothing can be said: types by search or by tensor, whose loss nobody knows before, and a recipe
 * that misses its limits, which `checkLimits` refuses
 */
export function compareWithBest(
  recipe: Recipe,
  prediction: Prediction,
  settings: readonly HostsAlike[],
): string | undefined {
  const { base, shape, release, models } = prediction;
  const { prune, quantize } = recipe.steps;
  const quantization = models.get("quantize")?.quantization;
  if (quantization === undefined || Object.keys(quantize).some((key) => key !== "type")) return undefined;
  const frame = frameOf(recipe, mostDemanding(prediction, settings), prediction.boards);
  const hasLimits = Object.keys(recipe.limits ?? {}).length > 0;
  const { fileBytes, tokensPerSecond } = release;
  const limits = hasLimits ? limitsOf(recipe, settings) : { fileBytes, tokensPerSecond };
  if (!meets(shape, release, limits)) return undefined;
  const best = bestPlan(base, frame, limits);
  if (best === undefined) return undefined;
  const loss = lossOf(base, shape, quantization.type, prune, frame.recovers);
  const within = hasLimits ? "within the limits" : "at no larger size and no lower speed";
  return best.loss < CLEARLY_LESS * loss
    ? `less loss is expected, ${within}, of: ${describeCandidate(best)}`
    : `none is expected to lose clearly less ${within}`;
}
