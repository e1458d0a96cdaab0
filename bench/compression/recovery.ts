import type { Recipe } from "../../infra/recipe/recipe.ts";
import type { Row } from "../rows.ts";
import type { Bench, Quality } from "./bench.ts";
import type { Options } from "./options.ts";
import { everyMethod } from "./pruning.ts";
import { besideBestPeer } from "./best-peer.ts";
import { log, type Step } from "./runner.ts";

export const CONTROL = "control: unpruned, trained the same";

/** What a training has besides: settings of the step, inputs, and what the plan adds to the step's own parameters. */
interface Training {
  settings?: object;
  inputs?: Record<string, Step>;
  added?: object;
}

/** The recipe's training with another budget: teacher KL alone, on text of another source than the evaluation's. */
export function recover(
  { runner, recipe, base, apart }: Bench,
  name: string,
  model: Step,
  tokens: number,
  { settings = {}, inputs = {}, added = {} }: Training = {},
): Step {
  const distillation = { ...recipe.steps.recover?.distillation, klWeight: 1 };
  const params = { ...ordinaryTraining(recipe), distillation, tokens, ...settings };
  const from = { model, teacher: base, datasets: apart, ...inputs };
  return runner.stage(`recover-${name}`, "recover", params, from, added);
}

/** The recipe's training as it is where it knows no type. */
export function ordinaryTraining({ steps }: Recipe): Recipe["steps"]["recover"] {
  return steps.recover && { ...steps.recover, quantizationAware: false };
}

/** The section `recovery`: every method at every ratio after the same training, and the control. */
export async function benchRecovery(bench: Bench, options: Options): Promise<Row[]> {
  const measureAfter = async (name: string, model: Step): Promise<Quality | undefined> => {
    const trained = recover(bench, name, model, options.tokens);
    const quality = await bench.quality(`${name}-recovered`, bench.convert(`${name}-recovered`, trained));
    await bench.runner.shed(trained);
    return quality;
  };
  log("recovery: the control");
  const control = await measureAfter("control", bench.base);
  const controlRows =
    control === undefined ? [] : besideBestPeer("base", [{ name: CONTROL, isPeer: true, ...control }]);
  const rows = await everyMethod(bench, options, "recovery", async ({ name, method, model }) => {
    const quality = await measureAfter(name, model);
    return quality && { name: method, ...quality };
  });
  return [...controlRows, ...rows];
}
