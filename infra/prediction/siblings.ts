import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { ownPlan } from "./best-plan.ts";
import { families, type Family, type QuantizedScores } from "./families.ts";
import { lossesOf, proposedTypes, type Plan } from "./plans.ts";
import { configuredShape, predictRelease, type Prediction, type ReleasePrediction } from "./predict.ts";
import { onLines, PRUNING_SPREAD, total, TYPE_SPREAD, type Loss } from "./quality.ts";
import type { QuantizeType } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";
import { formatSpeed } from "./speed.ts";
import { typeLoss } from "./type-losses.ts";

/** A smaller model of the same family. */
interface Sibling {
  recipe: Recipe;
  shape: ModelShape;
  model: string;
  score: number;
}

/** An expected score, in per cent, and its standard error. */
interface Score {
  score: number;
  error: number;
}

/** Points by which a type's published score lies off a smooth curve over its loss: Q2_K and Q3_K_S are furthest, by 1.5. */
const CURVE_ERROR = 1.5;

/**
 * Says what a smaller model of the same family does at the recipe's speed, where it is expected to score higher there by more
 * than the standard error of the two; otherwise how much faster it is, and what both score unquantized. Scores are the makers'.
 * What quantizing and pruning leave of them is read off scores of the quantized Llama-3-8B at the same loss, and known in the
 * family of Llama alone.
 * @returns undefined where no family is known that the base belongs to, by its shape, or it is the smallest
 */
export function compareWithSibling(recipe: Recipe, prediction: Prediction): string | undefined {
  const { base, release, boards } = prediction;
  const family = families.find((each) =>
    each.members.some((member) => isAlike(memberOf(member).shape, base)),
  );
  if (family === undefined) return undefined;
  const sizes = family.members.map(memberOf);
  const [own, ...smaller] = sizes.slice(sizes.findIndex(({ shape }) => isAlike(shape, base)));
  const [next] = smaller;
  if (own === undefined || next === undefined) return undefined;

  const releaseOf = ({ shape, recipe: { server } }: Sibling, type: QuantizeType): ReleasePrediction =>
    predictRelease(shape, { type, imatrix: true }, server, boards);
  const plan = ownPlan(recipe, prediction);
  if (plan !== undefined && family.quantized !== undefined) {
    const ours = expectedScore(own.score, plan.loss, family.quantized);
    for (const sibling of smaller) {
      const fast = fastEnough(sibling, release, releaseOf);
      if (fast === undefined) continue;
      const theirs = expectedScore(sibling.score, fast.plan.loss, family.quantized);
      if (theirs.score - ours.score > Math.hypot(ours.error, theirs.error))
        return (
          `${sibling.recipe.name} in ${fast.plan.quantization.type} is as fast ` +
          `(about ${formatSpeed(fast.release.tokensPerSecond)} tokens/s) and expected to be better: about ` +
          `${theirs.score.toFixed(0)} % in ${family.benchmark} (± ${theirs.error.toFixed(0)}) against ` +
          `${ours.score.toFixed(0)} % (± ${ours.error.toFixed(0)})`
        );
    }
  }
  const type = next.recipe.steps.quantize.type as QuantizeType;
  const { tokensPerSecond } = releaseOf(next, type);
  const times = tokensPerSecond / release.tokensPerSecond;
  const faster = times >= 1.05 ? `, ${times.toFixed(1)} times as fast` : "";
  return (
    `${next.recipe.name} in ${type} writes about ${formatSpeed(tokensPerSecond)} tokens/s${faster}; ` +
    `its makers report ${next.score} % in ${family.benchmark} against ${own.score} % for ${own.model}, both unquantized`
  );
}

/** Recipes that were read: the repository's, which do not change under a run. */
const members = new Map<string, Sibling>();

function memberOf(member: Family["members"][number]): Sibling {
  const known = members.get(member.recipe) ?? readMember(member);
  members.set(member.recipe, known);
  return known;
}

function readMember({ recipe, model, score }: Family["members"][number]): Sibling {
  const loaded = loadRecipe(recipe);
  const shape = configuredShape(loaded);
  if (shape === undefined) throw new Error(`${recipe} does not say its shape`);
  return { recipe: loaded, shape, model, score };
}

/** Whether two shapes are of the same model; what a file says beside its weights is not compared. */
function isAlike(one: ModelShape, other: ModelShape): boolean {
  return (["layers", "hiddenSize", "ffnSize", "heads", "kvHeads", "vocabulary"] as const).every(
    (key) => one[key] === other[key],
  );
}

/** The type of least loss in which a sibling is no slower and no larger than a release. */
function fastEnough(
  sibling: Sibling,
  { tokensPerSecond, fileBytes }: ReleasePrediction,
  releaseOf: (sibling: Sibling, type: QuantizeType) => ReleasePrediction,
): { plan: Plan; release: ReleasePrediction } | undefined {
  const { shape } = sibling;
  const lossOf = lossesOf(shape, false);
  return proposedTypes(true)
    .map((type) => lossOf({ shape, quantization: { type, imatrix: true }, pruning: undefined, aware: false }))
    .sort((a, b) => total(a.loss) - total(b.loss))
    .map((plan) => ({ plan, release: releaseOf(sibling, plan.quantization.type) }))
    .find(({ release }) => release.tokensPerSecond >= tokensPerSecond && release.fileBytes <= fileBytes);
}

/**
 * What a model scores with a loss: of what it scores above chance it keeps what the quantized model kept at that loss. The error
 * is that of the curve, and what the loss's own error moves the score.
 */
function expectedScore(unquantized: number, loss: Loss, scores: QuantizedScores): Score {
  const at = (nats: number): number => scores.chance + (unquantized - scores.chance) * kept(nats, scores);
  const spread = Math.hypot(TYPE_SPREAD * loss.quantizing, PRUNING_SPREAD * loss.pruning);
  const score = at(total(loss));
  return { score, error: Math.hypot(CURVE_ERROR, score - at(total(loss) + spread)) };
}

/** Share of the score above chance that is left at a loss: on straight lines between the types that were measured. */
function kept(nats: number, { unquantized, chance, byType }: QuantizedScores): number {
  const points = Object.entries(byType)
    .map(([type, score]) => {
      const share = Math.min(1, Math.max(0, (score - chance) / (unquantized - chance)));
      return [typeLoss(type as QuantizeType, true).nats, share] as const;
    })
    .sort(([a], [b]) => a - b);
  const most = points.at(-1)?.[0] ?? 0; // beyond it nothing was measured
  return onLines([[0, 1], ...points], Math.min(nats, most));
}
