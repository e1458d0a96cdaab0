import type { Recipe } from "../recipe/recipe.ts";
import type { CacheSettings } from "./memory.ts";
import { bestPlan, describeCandidate, frameOf, keepsTo, lossOf, type Limits } from "./plans.ts";
import type { Prediction } from "./predict.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import { limitsOf, type HostMemory } from "./limits.ts";

/** How much less another plan has to be expected to lose before it is worth a word: the figures are no better than that. */
const WORTH_A_WORD = 0.9;

/**
 * Says whether a recipe is the best plan within its limits, or which one is expected to lose less. Where it has no
 * limits, it is compared with what is no larger and no slower.
 * @param hosts those whose memory is known
 * @returns undefined where nothing can be said: types by search or by tensor, whose loss nobody knows before, and a recipe
 * that misses its limits, which `checkLimits` refuses
 */
export function compareWithBest(
  recipe: Recipe,
  { base, release, models }: Prediction,
  hosts: readonly HostMemory[],
  server: CacheSettings,
): string | undefined {
  const { prune, quantize } = recipe.steps as { prune?: Pruning; quantize: object };
  const quantization = models.get("quantize")?.quantization;
  if (quantization === undefined || Object.keys(quantize).some((key) => key !== "type")) return undefined;
  const frame = frameOf(recipe, server);
  const hasLimits = Object.keys(recipe.limits ?? {}).length > 0;
  const limits = hasLimits ? limitsOf(recipe, hosts) : noWorseThan(release);
  if (!keepsTo(release, limits)) return undefined;
  const best = bestPlan(base, frame, limits);
  if (best === undefined) return undefined;
  const shape = prune === undefined ? base : prunedShape(base, prune);
  const own = lossOf(base, shape, quantization.type, prune, frame.recovers);
  const within = hasLimits ? "within the limits" : "at no larger size and no lower speed";
  return best.loss < WORTH_A_WORD * own
    ? `less loss is expected, ${within}, of: ${describeCandidate(best)}`
    : `none is expected to lose clearly less ${within}`;
}

function noWorseThan({ fileBytes, tokensPerSecond }: Prediction["release"]): Limits {
  return { fileBytes, tokensPerSecond };
}
