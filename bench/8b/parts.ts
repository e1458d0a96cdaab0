import { prunedShape, type Pruning } from "../../infra/prediction/pruned-shape.ts";
import { parameterCount, shapeOfConfig, type LlamaConfig } from "../../infra/prediction/shape.ts";
import type { Recipe } from "../../infra/recipe/recipe.ts";
import { withDefaults } from "../step-defaults.ts";

/** Scores are not what is measured here: enough text to go through every layer. */
export const CALIBRATION_TOKENS = 2048;
/** Stages go layer by layer: what takes hours for the whole model shows its memory on two layers. */
const FEW_LAYERS = 2;

/** A model with random weights, and stages that it goes through one after the other. */
export interface Part {
  name: PartName;
  config: LlamaConfig;
  /** Parameters by stage, in their order. */
  steps: Record<string, Record<string, unknown>>;
  /** Said behind the stage's name in the results. */
  note: string;
}

export const partNames = ["release", "awq", "refit"] as const;
export type PartName = (typeof partNames)[number];

/**
 * `release`: the recipe's stages up to the file, on the whole model or on so many `layers`. `awq` and `refit`: what the
 * recipe does not use and its users may, on two layers.
 *
 * @param recipe with the lines of config.json that sizes follow from
 */
export function partsOf(recipe: Recipe, layers: number | undefined): Part[] {
  const config = recipe.base.config as unknown as LlamaConfig;
  const few = { ...config, num_hidden_layers: FEW_LAYERS };
  const prune = { ...recipe.steps.prune, calibrationTokens: CALIBRATION_TOKENS };
  const { convert, quantize } = recipe.steps;
  const note = `, ${String(FEW_LAYERS)} layers`;
  return [
    {
      name: "release",
      config: { ...config, ...(layers !== undefined && { num_hidden_layers: layers }) },
      steps: { prune, convert, quantize },
      note: "",
    },
    {
      name: "awq",
      config: few,
      steps: { awq: withDefaults(recipe, "awq", { calibrationTokens: CALIBRATION_TOKENS }) },
      note,
    },
    {
      name: "refit",
      config: few,
      steps: {
        prune: {
          ...{ ...prune, method: "ffn-second-order", reconstruct: true },
          parametersRemoved: sameWidth(recipe.steps.prune as unknown as Pruning, config, few),
        },
      },
      note: ` by ffn-second-order, refitted${note}`,
    },
  ];
}

/** The share of the few layers' parameters that leaves the FFN as wide as the recipe's share leaves the whole model's. */
function sameWidth(pruning: Pruning, whole: LlamaConfig, few: LlamaConfig): number {
  const { ffnSize } = prunedShape(shapeOfConfig(whole), pruning);
  const shape = shapeOfConfig(few);
  return 1 - parameterCount({ ...shape, ffnSize }) / parameterCount(shape);
}

/** The part's pruning, where it has one. */
export function pruningOf({ steps }: Part): Pruning | undefined {
  return steps.prune as Pruning | undefined;
}
