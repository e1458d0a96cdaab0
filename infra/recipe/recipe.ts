import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, isAbsolute, join, resolve } from "node:path";
import type { ErrorObject } from "ajv";
import { parse, YAMLParseError } from "yaml";
import { compileSchema } from "../artifact/manifest.ts";
import { nearest } from "../config/nearest.ts";
import { UserError, type Problem } from "../errors/user-error.ts";
import { repoRoot } from "../paths.ts";
import type { GoldenPrompt, ServerSettings } from "../release/release.ts";

/** A recipe as `models/schemas/recipe.schema.json` describes it, defaults filled in. */
export interface Recipe {
  name: string;
  base: { source: Record<string, unknown> };
  texts: Record<string, unknown>;
  steps: {
    prune?: Record<string, unknown>;
    recover?: Record<string, unknown>;
    convert: Record<string, unknown>;
    imatrix?: Record<string, unknown>;
    quantize: Record<string, unknown>;
    evaluate: Record<string, unknown>;
  };
  golden: GoldenPrompt;
  server: Pick<ServerSettings, "context" | "threads" | "parallel" | "minTokensPerSecond">;
}

const recipesDir = join(repoRoot, "models", "recipes");

/**
 * Loads a recipe by name (`models/recipes/<name>.yaml`) or by path, relative to the repository.
 * @throws UserError with every problem of the file, each by its path in the YAML
 */
export function loadRecipe(nameOrPath: string): Recipe {
  const path = recipePath(nameOrPath);
  let value: unknown;
  try {
    value = parse(readFileSync(path, "utf8"));
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new UserError({ where: path, what: `is not YAML: ${error.message.split("\n")[0]}` });
  }
  const validate = compileSchema("recipe");
  if (validate(value)) return value as Recipe;
  throw new UserError(recipeProblems(validate.errors ?? [], basename(path)));
}

function recipePath(nameOrPath: string): string {
  const isPath = nameOrPath.includes("/") || nameOrPath.endsWith(".yaml");
  const path = isPath
    ? isAbsolute(nameOrPath)
      ? nameOrPath
      : resolve(repoRoot, nameOrPath)
    : join(recipesDir, `${nameOrPath}.yaml`);
  if (existsSync(path)) return path;
  const names = readdirSync(recipesDir).map((file) => basename(file, ".yaml"));
  const candidate = nearest(nameOrPath, names);
  throw new UserError({
    where: "pipress:recipe",
    what: isPath ? `there is no file ${path}` : `there is no recipe "${nameOrPath}"`,
    remedy: candidate === undefined ? `one of: ${names.join(", ")}` : `did you mean "${candidate}"?`,
  });
}

/** JSON Schema errors as problems by path. Errors that only say "one of the alternatives failed" add nothing. */
function recipeProblems(errors: readonly ErrorObject[], file: string): Problem[] {
  const telling = errors.filter(({ keyword }) => !["if", "oneOf", "anyOf"].includes(keyword));
  return (telling.length > 0 ? telling : errors).map((error) => {
    const at = error.instancePath.slice(1).replaceAll("/", ".");
    const where = (key?: string): string =>
      [file, [at, key].filter(Boolean).join(".")].filter(Boolean).join(": ");
    if (error.keyword === "additionalProperties") {
      const { additionalProperty: key } = error.params as { additionalProperty: string };
      const known = Object.keys((error.parentSchema?.properties ?? {}) as object);
      const candidate = nearest(key, known);
      return {
        where: where(key),
        what: candidate
          ? `unknown key; did you mean "${candidate}"?`
          : known.length > 0
            ? `unknown key; known here: ${known.join(", ")}`
            : "unknown key",
      };
    }
    if (error.keyword === "required")
      return {
        where: where((error.params as { missingProperty: string }).missingProperty),
        what: "is required",
      };
    if (error.keyword === "enum") {
      const { allowedValues } = error.params as { allowedValues: unknown[] };
      return { where: where(), what: `must be one of ${allowedValues.map(String).join(", ")}` };
    }
    return { where: where(), what: error.message ?? error.keyword };
  });
}
