import type { Toolchain } from "../../toolchain/toolchain.ts";
import { stageGraph, type GraphOptions } from "../plan/graph.ts";
import { planStages } from "../plan/plan.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { StageNode } from "../stage/node.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Store } from "../store/store.ts";
import { baselineTypes, equalSpeedType } from "./equal-speed.ts";
import { frameOf } from "./plans.ts";
import { configuredShape, predictFrom } from "./predict.ts";
import type { ModelShape } from "./shape.ts";

/** Every stage of a recipe with its key, laid out with what is predicted of it. Runs nothing. */
export function planRecipe(recipe: Recipe, store: Store, toolchain: Toolchain): Promise<PlannedStage[]> {
  return planStages(recipe, graphOptions(recipe), store, toolchain);
}

/**
 * What a recipe's graph takes from predictions. From the recipe alone: what a fetched model says more exactly would give
 * stages another key once it is there.
 */
export function graphOptions(recipe: Recipe): GraphOptions {
  const base = configuredShape(recipe);
  if (base === undefined) return {};
  const asFast = equalSpeedType(recipe, stageGraph(recipe));
  const nodes = stageGraph(recipe, { equalSpeedType: asFast });
  return {
    equalSpeedType: asFast,
    reportParams: { predicted: predictedEvaluations(recipe, base, nodes), ...fastestBaseline(recipe, base) },
  };
}

/** What is predicted of the model that each evaluation measures, by the evaluation's name. */
function predictedEvaluations(
  recipe: Recipe,
  base: ModelShape,
  nodes: readonly StageNode[],
): Record<string, object> {
  const { models } = predictFrom(base, nodes, recipe.server, 1);
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

/** The fastest that the base model could be without pruning: where the release is faster, it has no rival there. */
function fastestBaseline(recipe: Recipe, base: ModelShape): object {
  if (recipe.steps.prune === undefined) return {};
  const types = baselineTypes(base, frameOf(recipe, recipe.server));
  const [fastest] = types.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond);
  return fastest === undefined ? {} : { fastestBaseline: fastest };
}
