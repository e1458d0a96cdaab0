import { UserError } from "../../common/user-error.ts";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { fromCatalogue } from "./catalogue.ts";
import { readyModel, type ReadyModel, type WrittenModel } from "./ready-model.ts";

/** What a stack deploys: a model that its recipe compresses, or one that is ready. */
export type Model = Recipe | ReadyModel;

/** What a stack's configuration says of its model; one of the two, as its schema sees to. */
export interface NamedModel {
  /** Name or path of a recipe. */
  recipe?: string | undefined;
  /** A name of the catalogue, or a model written out. */
  model?: string | WrittenModel | undefined;
}

/**
 * @param path of the configuration in which they stand, before their own names
 * @throws UserError where there is no such recipe or model, or with every problem of the recipe
 */
export function loadModel({ recipe, model }: NamedModel, path = "pipress:"): Model {
  if (recipe !== undefined) return loadRecipe(recipe, `${path}recipe`);
  if (model === undefined) throw new UserError({ where: `${path}recipe`, what: "is required" });
  return typeof model === "string" ? fromCatalogue(model, `${path}model`) : readyModel(model);
}

export function isRecipe(model: Model): model is Recipe {
  return "steps" in model;
}

/** `recipe smollm2-135m`, `model qwen3-0.6b`. */
export function describeModel(model: Model): string {
  return `${isRecipe(model) ? "recipe" : "model"} ${model.name}`;
}
