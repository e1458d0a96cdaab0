import { prunedShape, type Pruning } from "../../infra/prediction/pruned-shape.ts";
import { parameterCount, shapeOfConfig, type LlamaConfig } from "../../infra/prediction/shape.ts";
import type { Recipe } from "../../infra/recipe/recipe.ts";
import { withDefaults } from "../step-defaults.ts";

/** Scores are not what is measured here: enough text to go through every layer. */
const CALIBRATION_TOKENS = 2048;
/** Steps of recovery that are timed on a GPU. */
const RECOVERY_STEPS = 10;
/** Stages go layer by layer: what takes hours for the whole model shows its memory on two layers. */
const FEW_LAYERS = 2;

/** A model with random weights, and stages that it goes through one after the other. */
export interface Part {
  name: PartName;
  config: LlamaConfig;
  /** Parameters by stage, in their order. */
  steps: Record<string, Record<string, unknown>>;
  /** What is written for the stages to read. */
  textTokens: number;
  /** Whether it is of use on a GPU only. */
  gpu: boolean;
  /** Said behind the stage's name in the results. */
  note: string;
}

export const partNames = ["release", "awq", "refit", "gpu"] as const;
export type PartName = (typeof partNames)[number];
/** What is run where nothing is said: what needs no GPU. */
export const usualParts = partNames.filter((name) => name !== "gpu");

/**
 * `release`: the recipe's stages up to the file, on the whole model or on so many `layers`. `awq` and `refit`: what the
 * recipe does not use and its users may, on two layers. `gpu`: the whole model's pruning, calibrated on as much as the
 * recipe says, and the first steps of its recovery.
 *
 * @param recipe with the lines of config.json that sizes follow from
 */
export function partsOf(recipe: Recipe, layers: number | undefined): Part[] {
  const config = recipe.base.config as unknown as LlamaConfig;
  const few = { ...config, num_hidden_layers: FEW_LAYERS };
  const prune = { ...recipe.steps.prune, calibrationTokens: CALIBRATION_TOKENS };
  const { convert, quantize, recover = {} } = recipe.steps;
  const ofText = { textTokens: CALIBRATION_TOKENS, gpu: false };
  const recovered = RECOVERY_STEPS * Number(recover.batchSize) * Number(recover.sequenceLength);
  const note = `, ${String(FEW_LAYERS)} layers`;
  return [
    {
      name: "release",
      config: { ...config, ...(layers !== undefined && { num_hidden_layers: layers }) },
      steps: { prune, convert, quantize },
      ...ofText,
      note: "",
    },
    {
      name: "awq",
      config: few,
      steps: { awq: withDefaults(recipe, "awq", { calibrationTokens: CALIBRATION_TOKENS }) },
      ...ofText,
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
      ...ofText,
      note: ` by ffn-second-order, refitted${note}`,
    },
    {
      name: "gpu",
      config,
      steps: { prune: recipe.steps.prune ?? {}, recover: { ...recover, tokens: recovered } },
      textTokens: Math.max(2 * recovered, Number(recipe.steps.prune?.calibrationTokens)),
      gpu: true,
      note: " on a GPU",
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
