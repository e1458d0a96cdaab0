import type { Toolchain } from "../../toolchain/toolchain.ts";
import { stageGraph, type GraphOptions } from "../plan/graph.ts";
import { planStages } from "../plan/plan.ts";
import { isRecipe, type Model } from "../model/model.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { StageNode } from "../stage/node.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Store } from "../store/store.ts";
import { configuredShape, predictFrom, predictRelease } from "./predict.ts";
import { proposedTypes } from "./plans.ts";
import { typeLoss } from "./type-losses.ts";
import type { QuantizeType } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";

/**
 * Every stage of a model with its key, laid out with what is predicted of it. Runs nothing.
 * @param systemPrompts stages that the hosts' settings ask for
 */
export function planModel(
  model: Model,
  store: Store,
  toolchain: Toolchain,
  systemPrompts: GraphOptions["systemPrompts"] = [],
): Promise<PlannedStage[]> {
  const options = isRecipe(model) ? graphOptions(model) : {};
  return planStages(model, { ...options, systemPrompts }, store, toolchain);
}

/**
 * What a recipe's graph takes from predictions. From the recipe alone: what a fetched model says more exactly would give
 * stages another key once it is there.
 */
export function graphOptions(recipe: Recipe): GraphOptions {
  const base = configuredShape(recipe);
  if (base === undefined) return {};
  const baselines = baselineTypes(recipe, base);
  const { release } = predictFrom(base, stageGraph(recipe), recipe.server);
  const equalSpeedType = baselines.find(
    ({ tokensPerSecond }) => tokensPerSecond >= release.tokensPerSecond,
  )?.type;
  const predicted = predictedEvaluations(recipe, base, stageGraph(recipe, { equalSpeedType }));
  // Of a pruned model: where the release is faster than this one, it has no rival there.
  const [fastest] = recipe.steps.prune ? baselines.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond) : [];
  return { equalSpeedType, reportParams: { predicted, ...(fastest && { fastestBaseline: fastest }) } };
}

/** Every type of whose loss something is published, for the base model as it is, with its predicted speed on a Pi 4; the one of least loss first. */
function baselineTypes(recipe: Recipe, base: ModelShape): { type: QuantizeType; tokensPerSecond: number }[] {
  const imatrix = recipe.steps.imatrix !== undefined;
  return proposedTypes(imatrix)
    .sort((a, b) => typeLoss(a, imatrix).nats - typeLoss(b, imatrix).nats)
    .map((type) => {
      const { tokensPerSecond } = predictRelease(base, { type, imatrix }, recipe.server);
      return { type, tokensPerSecond };
    });
}

/** What is predicted of the model that each evaluation measures, by the evaluation's name. */
function predictedEvaluations(
  recipe: Recipe,
  base: ModelShape,
  nodes: readonly StageNode[],
): Record<string, object> {
  const { models } = predictFrom(base, nodes, recipe.server);
  const predicted = nodes.flatMap(({ name, stage, inputs }): [string, object][] => {
    const model = stage === "evaluate" ? models.get(inputs.model ?? "") : undefined;
    if (model === undefined) return [];
    const { quantization, fileBytes, memoryBytes, tokensPerSecond } = model;
    return [
      [name, { type: quantization.type, fileBytes, memoryBytes: Math.round(memoryBytes), tokensPerSecond }],
    ];
  });
  return Object.fromEntries(predicted);
}
