import { existsSync, readdirSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import type { ErrorObject } from "ajv";
import { compileSchema } from "../../common/json-schema.ts";
import { readYaml } from "../../common/read-yaml.ts";
import { didYouMean, unknownKey } from "../../common/nearest.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import { repoRoot } from "../../common/paths.ts";
import { chatProblems } from "./chat-problems.ts";
import { architectureOf, layoutOf, layoutProblems } from "./layouts.ts";
import { pruneProblems } from "./prune-problems.ts";
import { quantizeProblems } from "./quantize-problems.ts";
import type { Recipe } from "./recipe.generated.ts";

export type { Recipe };

const recipesDir = join(repoRoot, "models", "recipes");

/**
 * Loads a recipe by name (`models/recipes/<name>.yaml`) or by path, relative to the repository.
 * @throws UserError with every problem of the file, each by its path in the YAML
 */
export function loadRecipe(nameOrPath: string, where = "pipress:recipe"): Recipe {
  const path = recipePath(nameOrPath, where);
  const value = readYaml(path);
  const validate = compileSchema("recipe");
  if (!validate(value)) throw new UserError(recipeProblems(validate.errors ?? [], basename(path)));
  const recipe = value as Recipe;
  const file = basename(path);
  const architecture = architectureOf(recipe);
  const problems = [
    ...layoutProblems(recipe, architecture, file),
    ...chatProblems(recipe, file),
    ...pruneProblems(recipe.steps, file),
    ...quantizeProblems(recipe.steps, file, layoutOf(architecture) !== undefined),
  ];
  if (problems.length > 0) throw new UserError(problems);
  return recipe;
}

/** Names of the recipes in `models/recipes/`. */
export function recipeNames(): string[] {
  return readdirSync(recipesDir).map((file) => basename(file, ".yaml"));
}

function recipePath(nameOrPath: string, where: string): string {
  const isPath = nameOrPath.includes("/") || nameOrPath.endsWith(".yaml");
  const path = isPath ? resolve(repoRoot, nameOrPath) : join(recipesDir, `${nameOrPath}.yaml`);
  if (existsSync(path)) return path;
  const names = recipeNames();
  throw new UserError({
    where,
    what: isPath ? `there is no file ${path}` : `there is no recipe "${nameOrPath}"`,
    remedy: didYouMean(nameOrPath, names) ?? `one of: ${names.join(", ")}`,
  });
}

/** JSON Schema errors as problems by path. Errors that only say "one of the alternatives failed" add nothing. */
function recipeProblems(errors: readonly ErrorObject[], file: string): Problem[] {
  // What `$comment` says of alternatives is clearer than each one's complaints.
  const explained = errors.filter(
    ({ keyword, parentSchema }) => ["oneOf", "anyOf"].includes(keyword) && parentSchema?.$comment,
  );
  const rest = errors.filter(
    ({ keyword, schemaPath }) =>
      !["if", "oneOf", "anyOf"].includes(keyword) &&
      !explained.some((error) => schemaPath.startsWith(error.schemaPath)),
  );
  const informative = [...explained, ...rest];
  return (informative.length > 0 ? informative : errors).map((error) => recipeProblem(error, file));
}

function recipeProblem(error: ErrorObject, file: string): Problem {
  const { keyword, instancePath, message = keyword, parentSchema: schema = {} } = error;
  const params = error.params as {
    additionalProperty?: string;
    missingProperty?: string;
    allowedValues?: unknown[];
  };
  const key = params.additionalProperty ?? params.missingProperty;
  const path = [...instancePath.split("/"), key].filter(Boolean).join(".");
  const where = path === "" ? file : `${file}: ${path}`;
  if (keyword === "additionalProperties")
    return { where, what: unknownKey(key ?? "", Object.keys((schema.properties ?? {}) as object)) };
  if (keyword === "required") return { where, what: "is required" };
  if (keyword === "enum") return { where, what: `must be one of ${params.allowedValues?.join(", ")}` };
  if (keyword === "oneOf" && typeof schema.$comment === "string")
    return { where, what: `takes ${schema.$comment}` };
  // What a pattern is for is said in its description: an expression alone tells a user little.
  const isExplained = keyword === "pattern" && typeof schema.description === "string";
  return { where, what: message, ...(isExplained && { remedy: schema.description as string }) };
}
