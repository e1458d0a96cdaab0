import { readFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { z } from "zod";
import { repoRoot } from "../../common/paths.ts";
import { artifactsConfigSchema } from "../../infra/config/aws-schema.ts";
import { choices } from "../../common/chosen.ts";
import { stackConfigSchema } from "../../infra/config/schema.ts";
import { choices as modelChoices, cellsOf, choiceHead } from "../../infra/prediction/choice.ts";
import { benchTables, table } from "./bench-tables.ts";
import { keySections, type JsonSchema } from "./key-list.ts";

/** Pages with parts that are generated; the rest of each is written by hand. */
export const generatedPages = [
  "README.md",
  "docs/configuration.md",
  "docs/recipes.md",
  "docs/benchmarks.md",
  "docs/models.md",
] as const;

/** What may stand between `<!-- begin NAME … -->` and `<!-- end NAME -->`. */
const parts: Record<string, () => string> = {
  ...benchTables,
  configuration: () => keySections(jsonSchema(stackConfigSchema)),
  "artifacts-configuration": () => keySections(jsonSchema(artifactsConfigSchema)),
  choices: () => table(choiceHead, modelChoices().map(cellsOf)),
  recipe: () => keySections(JSON.parse(read("models/schemas/recipe.schema.json")) as JsonSchema),
};

/** What a user may write, as JSON Schema. */
export function jsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
    // Which of them a value is to be, code decides.
    override: ({ zodSchema, jsonSchema: made }) => {
      const chosenFrom = choices.get(zodSchema);
      if (chosenFrom) made.anyOf = chosenFrom.map(jsonSchema) as typeof made.anyOf;
    },
  }) as JsonSchema;
}

/** A page as it should be: its generated parts made again, all of it formatted. */
export async function generatePage(path: string): Promise<string> {
  const filled = fillParts(read(path), parts);
  const options = await resolveConfig(join(repoRoot, path));
  return format(filled, { ...options, filepath: path });
}

/** Replaces what stands between each pair of marks. */
export function fillParts(page: string, makers: Record<string, () => string>): string {
  return page.replace(
    /<!-- begin (\S+)(.*?) -->[\s\S]*?<!-- end \1 -->/g,
    (_, name: string, note: string) => {
      const make = makers[name];
      if (make === undefined) throw new Error(`nothing makes the part "${name}"`);
      return `<!-- begin ${name}${note} -->\n\n${make()}\n\n<!-- end ${name} -->`;
    },
  );
}

function read(path: string): string {
  return readFileSync(join(repoRoot, path), "utf8");
}
