import type { Recipe } from "../recipe/recipe.ts";
import { betterPlan, describeCandidate, errorBetween, frameOf, lossesOf, meets, type Plan } from "./plans.ts";
import { total } from "./quality.ts";
import type { Prediction } from "./predict.ts";
import type { HostsAlike } from "./host-settings.ts";
import { limitsOf, mostDemanding } from "./limits.ts";

/**
 * Says whether another plan is known to lose less than a recipe within its limits, and which one. Where it has no limits, it is
 * compared with what is no larger and no slower. Known is what two standard errors of the difference bear out
 * (`differenceError`); `awq` is left out of account, because nothing reliable was measured of it.
 * @param settings of llama-server on the hosts
 * @returns undefined where nothing can be said: a search for types, whose result nobody knows before, and a recipe that misses
 * its limits, which `checkLimits` refuses
 */
export function compareWithBest(
  recipe: Recipe,
  prediction: Prediction,
  settings: readonly HostsAlike[],
): string | undefined {
  const { base, release, shape } = prediction;
  const own = ownPlan(recipe, prediction);
  if (own === undefined) return undefined;
  const frame = frameOf(recipe, mostDemanding(prediction, settings), prediction.boards);
  const hasLimits = Object.keys(recipe.limits ?? {}).length > 0;
  const { fileBytes, tokensPerSecond } = release;
  const limits = hasLimits ? limitsOf(recipe, settings) : { fileBytes, tokensPerSecond };
  if (!meets(shape, release, limits)) return undefined;
  const better = betterPlan(base, own, frame, limits);
  const within = hasLimits ? "within the limits" : "at no larger size and no lower speed";
  if (better === undefined) return `no other is known to lose less ${within}`;
  const [less, more] = [total(better.loss), total(own.loss)].map((nats) => nats.toPrecision(2));
  return (
    `less loss is expected, ${within}, of: ${describeCandidate(better)}; ` +
    `a KL divergence of about ${less} instead of ${more}, ± ${errorBetween(better, own).toPrecision(2)} between them`
  );
}

/** A recipe as a plan that can be compared with others; undefined where a search decides its types. */
export function ownPlan(
  { steps: { prune, recover, quantize } }: Recipe,
  { base, shape, models }: Prediction,
): Plan | undefined {
  const quantization = models.get("quantize")?.quantization;
  if (quantization === undefined || quantize.objective !== undefined) return undefined;
  const aware = recover?.quantizationAware === true;
  return lossesOf(base, recover !== undefined)({ shape, quantization, pruning: prune, aware });
}
