import type { Recipe } from "../../infra/recipe/recipe.ts";
import { convert, type Materials } from "./materials.ts";
import type { Options } from "./options.ts";
import { baseRows, prunedModels, qualityOf, qualityRows } from "./pruning.ts";
import { percent, type Row } from "./rows.ts";
import { log, type Runner, type Step } from "./runner.ts";

export const CONTROL = "control: unpruned, trained the same";

/** The recipe's training with another budget: teacher KL alone, on text of another source than the evaluation's. */
export function recover(
  runner: Runner,
  recipe: Recipe,
  name: string,
  model: Step,
  { base, apart }: Materials,
  tokens: number,
): Step {
  const distillation = { ...recipe.steps.recover?.distillation, klWeight: 1 };
  const params = { ...recipe.steps.recover, distillation, tokens };
  return runner.stage(`recover-${name}`, "recover", params, { model, teacher: base, datasets: apart });
}

/** The section `recovery`: every method at every ratio after the same training, and the control. */
export async function benchRecovery(
  runner: Runner,
  recipe: Recipe,
  materials: Materials,
  options: Options,
): Promise<Row[]> {
  const rows = await baseRows(runner, materials, "recovery");
  const measureAfter = async (name: string, model: Step) => {
    const trained = recover(runner, recipe, name, model, materials, options.tokens);
    const quality = await qualityOf(
      runner,
      materials,
      `${name}-recovered`,
      convert(runner, `${name}-recovered`, trained),
    );
    await runner.shed(trained);
    return quality;
  };
  log("recovery: the control");
  const control = await measureAfter("control", materials.base);
  if (control !== undefined)
    rows.push(...qualityRows("recovery", "base", [{ name: CONTROL, isPeer: true, ...control }]));
  for (const share of options.ratios) {
    const measured = [];
    for (const { method, isPeer, model } of prunedModels(runner, materials, share, options)) {
      log(`recovery ${percent(share)}: ${method}`);
      const quality = await measureAfter(`${method}-${String(Math.round(100 * share))}`, model);
      if (quality !== undefined) measured.push({ name: method, isPeer, ...quality });
    }
    rows.push(...qualityRows("recovery", percent(share), measured));
  }
  return rows;
}
