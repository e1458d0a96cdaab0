import type { StageNode } from "../stage/node.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { frameOf, type PlanFrame } from "./plans.ts";
import { configuredShape, predictFrom, predictRelease } from "./predict.ts";
import { divergence } from "./quality.ts";
import type { QuantizeType } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";
import { standardTypes } from "./standard-types.ts";

/** An unpruned model of one type, and its predicted speed on a Raspberry Pi 4. */
export interface BaselineType {
  type: QuantizeType;
  tokensPerSecond: number;
}

/** Every type whose loss is known, for the base model as it is; the one of least loss first. */
export function baselineTypes(base: ModelShape, { imatrix, server }: PlanFrame): BaselineType[] {
  return standardTypes(imatrix)
    .filter((type) => divergence[type] !== undefined)
    .sort((a, b) => (divergence[a] ?? Infinity) - (divergence[b] ?? Infinity))
    .map((type) => ({
      type,
      tokensPerSecond: predictRelease(base, { type, imatrix }, server).tokensPerSecond,
    }));
}

/**
 * The type under which the unpruned model should be at least as fast on a Raspberry Pi 4 as what a recipe makes: of
 * those, the one of least loss. From the recipe alone, so that it does not change once the model has been fetched.
 * @param nodes the recipe's stages
 * @returns undefined when no type is that fast, or nothing says what shape the base has
 */
export function equalSpeedType(recipe: Recipe, nodes: readonly StageNode[]): QuantizeType | undefined {
  const base = configuredShape(recipe);
  if (base === undefined) return undefined;
  const { release } = predictFrom(base, nodes, recipe.server, 1);
  return baselineTypes(base, frameOf(recipe, recipe.server)).find(
    ({ tokensPerSecond }) => tokensPerSecond >= release.tokensPerSecond,
  )?.type;
}
