import { compileSchema } from "../common/json-schema.ts";
import type { Recipe } from "../infra/recipe/recipe.ts";

let validateRecipe: ReturnType<typeof compileSchema> | undefined;

/** A step's parameters with the schema's defaults, as they are in a recipe once it is loaded. */
export function withDefaults(recipe: Recipe, stage: string, params: object): Record<string, unknown> {
  const whole = structuredClone(recipe) as unknown as Record<string, object>;
  const [part, key] =
    stage === "fetch" ? ["base"] : stage === "fetch-dataset" ? ["datasets"] : (["steps", stage] as const);
  if (key === undefined) whole[part] = structuredClone(params);
  else whole.steps = { ...whole.steps, [key]: structuredClone(params) };
  validateRecipe ??= compileSchema("recipe");
  if (!validateRecipe(whole))
    throw new Error(
      `bench: ${stage} takes no ${JSON.stringify(params)}: ${validateRecipe.errors?.[0]?.message}`,
    );
  return (key === undefined ? whole[part] : (whole.steps as Record<string, object>)[key]) as Record<
    string,
    unknown
  >;
}
