import type { Recipe } from "../../infra/recipe/recipe.ts";
import type { Runner, Step } from "./runner.ts";

/** What every section builds on: the base model, texts, and the base's own measurement. */
export interface Materials {
  base: Step;
  /** Wikipedia for calibration, the second half of the news for evaluation: two sources. */
  apart: Step;
  /** Wikipedia and the first half of the news for calibration, the same evaluation text. */
  mixed: Step;
  /** The base as an f16 GGUF. */
  full: Step;
  imatrix: Step;
  /** The base's evaluation: the reference of all KL divergences. */
  reference: Step;
}

/** Of the encyclopedia as much as leaves the news their weight in the mixed text. */
const MIXED_SIZE = "400 kB";

/** @param recipe whose model and texts are taken; its evaluation text has to be a single source */
export function materials(runner: Runner, recipe: Recipe, chunks: number): Materials {
  const { calibration, evaluation } = recipe.datasets;
  const [news] = evaluation;
  const heldOut = [{ ...news, part: { from: 0.5 } }];
  const base = runner.stage("fetch", "fetch", recipe.base);
  const apart = runner.stage("fetch-dataset-apart", "fetch-dataset", { calibration, evaluation: heldOut });
  const mixed = runner.stage("fetch-dataset-mixed", "fetch-dataset", {
    calibration: [
      ...calibration.map((text) => ({ ...text, maxSize: MIXED_SIZE })),
      { ...news, part: { to: 0.5 } },
    ],
    evaluation: heldOut,
  });
  const full = convert(runner, "base", base);
  return {
    base,
    apart,
    mixed,
    full,
    imatrix: runner.stage("imatrix-base", "imatrix", recipe.steps.imatrix ?? {}, {
      model: full,
      datasets: apart,
    }),
    reference: runner.stage("evaluate-base", "evaluate", evaluateParams(chunks), {
      model: full,
      datasets: apart,
    }),
  };
}

/** A model folder as an f16 GGUF. */
export function convert(runner: Runner, name: string, model: Step): Step {
  return runner.stage(`convert-${name}`, "convert", { type: "f16" }, { model });
}

/** A GGUF measured against the base on the evaluation text. */
export function evaluate(runner: Runner, name: string, model: Step, { apart, reference }: Materials): Step {
  const chunks = reference.params.chunks as number;
  return runner.stage(`evaluate-${name}`, "evaluate", evaluateParams(chunks), {
    model,
    datasets: apart,
    reference,
  });
}

/** As a recipe's evaluation, without what is no quality: speed and continuations. */
function evaluateParams(chunks: number): Record<string, unknown> {
  return { contextLength: 512, chunks, benchTokens: 4, prompts: [] };
}
