import { compileSchema } from "../common/json-schema.ts";
import type { Recipe } from "../infra/recipe/recipe.ts";

let validateRecipe: ReturnType<typeof compileSchema> | undefined;

/** A step's parameters with the schema's defaults, as they are in a recipe once it is loaded. */
export function withDefaults(
  recipe: Recipe,
  step: keyof Recipe["steps"],
  params: object,
): Record<string, unknown> {
  const steps = { ...recipe.steps, [step]: params };
  const whole = structuredClone({ ...recipe, steps });
  validateRecipe ??= compileSchema("recipe");
  if (validateRecipe(whole)) return { ...whole.steps[step] };
  const reason = validateRecipe.errors?.[0]?.message;
  throw new Error(`bench: ${step} takes no ${JSON.stringify(params)}: ${reason}`);
}
