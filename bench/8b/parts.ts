import { prunedShape, type Pruning } from "../../infra/prediction/pruned-shape.ts";
import { parameterCount, shapeOfConfig } from "../../infra/prediction/shape.ts";
import type { ModelConfig, Recipe } from "../../infra/recipe/recipe.generated.ts";
import { withDefaults } from "../step-defaults.ts";

/** Scores are not what is measured there: enough text to go through every layer. */
const FEW_TOKENS = 2048;
/** Leaves the same shape as any way to prune the FFN, and does not take hours for all layers on a few cores. */
const QUICK = { method: "ffn-activation", reconstruct: false, calibrationTokens: FEW_TOKENS };
/** Steps of recovery that are timed on a GPU. */
const RECOVERY_STEPS = 10;
/** Stages go layer by layer: what takes hours for the whole model shows its memory on two layers. */
const FEW_LAYERS = 2;

/** A model with random weights, and stages that it goes through one after the other. */
export interface Part {
  name: PartName;
  config: ModelConfig;
  /** Parameters by stage, in their order. */
  steps: Record<string, Record<string, unknown>>;
  /** What is written for the stages to read. */
  textTokens: number;
  /** Whether it is of use on a GPU only. */
  gpu: boolean;
  /** Said behind a stage in the results. */
  note: string;
}

export const partNames = ["release", "unpruned", "prune", "awq", "gpu"] as const;
export type PartName = (typeof partNames)[number];
/** What is run where nothing is said: what needs no GPU. */
export const usualParts = partNames.filter((name) => name !== "gpu");

/**
 * `release`: the whole model, or so many `layers` of it, up to the file, pruned the quick way to the recipe's shape.
 * `unpruned`: the same up to the file of the recipe that does not prune. `prune`: the recipe's own pruning, on two layers.
 * `awq`: what the recipe does not use and its users may, on two layers. `gpu`: the recipe's pruning of the whole model and the
 * first steps of its recovery.
 *
 * @param recipe with the lines of config.json that sizes follow from
 * @param unpruned of the same base
 */
export function partsOf(recipe: Recipe, unpruned: Recipe, layers?: number): Part[] {
  const config = recipe.base.config as ModelConfig;
  const few = { ...config, num_hidden_layers: FEW_LAYERS };
  const { prune, convert, quantize, recover } = recipe.steps;
  const calibrationTokens = Number(prune?.calibrationTokens);
  const recovered = RECOVERY_STEPS * Number(recover?.batchSize) * Number(recover?.sequenceLength);
  const whole = { config, textTokens: FEW_TOKENS, gpu: false, note: "" };
  const twoLayers = { ...whole, config: few, note: `, ${String(FEW_LAYERS)} layers` };
  return [
    {
      ...whole,
      name: "release",
      config: { ...config, ...(layers !== undefined && { num_hidden_layers: layers }) },
      steps: { prune: { ...prune, ...QUICK }, convert: { ...convert }, quantize: { ...quantize } },
    },
    {
      ...whole,
      name: "unpruned",
      steps: { convert: { ...unpruned.steps.convert }, quantize: { ...unpruned.steps.quantize } },
      note: ", unpruned",
    },
    {
      ...twoLayers,
      name: "prune",
      textTokens: calibrationTokens,
      steps: { prune: { ...prune, pruningRatio: sameWidth(prune as Pruning, config, few) } },
    },
    {
      ...twoLayers,
      name: "awq",
      steps: { awq: withDefaults(recipe, "awq", { calibrationTokens: FEW_TOKENS }) },
    },
    {
      ...whole,
      name: "gpu",
      steps: { prune: { ...prune }, recover: { ...recover, tokens: recovered } },
      textTokens: Math.max(2 * recovered, calibrationTokens),
      gpu: true,
      note: " on a GPU",
    },
  ];
}

/** The share of the few layers' parameters that leaves the FFN as wide as the recipe's share leaves the whole model's. */
function sameWidth(pruning: Pruning, whole: ModelConfig, few: ModelConfig): number {
  const { ffnSize } = prunedShape(shapeOfConfig(whole), pruning);
  const shape = shapeOfConfig(few);
  return 1 - parameterCount({ ...shape, ffnSize }) / parameterCount(shape);
}

/** What a stage's row of the results is called. Prunings differ in time and memory, so that of `prune` says which it is. */
export function rowName({ steps, note }: Part, stage: string): string {
  const { method, reconstruct } = steps[stage] ?? {};
  const how = stage === "prune" ? ` by ${String(method)}${reconstruct === true ? ", refitted" : ""}` : "";
  return stage + how + note;
}

/** The part's pruning, where it has one. */
export function pruningOf({ steps }: Part): Pruning | undefined {
  return steps.prune as Pruning | undefined;
}
