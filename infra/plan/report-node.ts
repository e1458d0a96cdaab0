import { unprunedTypes, type UnprunedType } from "../prediction/equal-speed.ts";
import { frameOf } from "../prediction/plans.ts";
import { configuredShape, predictFrom } from "../prediction/predict.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { StageNode } from "./graph.ts";

/** The stages and, after them, the report on them all. */
export function withReport(recipe: Recipe, nodes: readonly StageNode[]): StageNode[] {
  const report: StageNode = {
    name: "report",
    stage: "report",
    params: {
      recipe: recipe.name,
      predicted: predictedEvaluations(recipe, nodes),
      ...fastestUnpruned(recipe),
    },
    inputs: Object.fromEntries(nodes.map(({ name }) => [name, name])),
  };
  return [...nodes, report];
}

/**
 * What is predicted of the model that each evaluation measures, by the evaluation's name. From the recipe alone: what a
 * fetched model says more exactly would give the report another key once it is there.
 */
function predictedEvaluations(recipe: Recipe, nodes: readonly StageNode[]): Record<string, object> {
  const base = configuredShape(recipe);
  if (base === undefined) return {};
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
function fastestUnpruned(recipe: Recipe): { fastestUnpruned?: UnprunedType } {
  const base = configuredShape(recipe);
  if (base === undefined || recipe.steps.prune === undefined) return {};
  const types = unprunedTypes(base, frameOf(recipe, recipe.server));
  const [fastest] = types.sort((a, b) => b.tokensPerSecond - a.tokensPerSecond);
  return fastest === undefined ? {} : { fastestUnpruned: fastest };
}
