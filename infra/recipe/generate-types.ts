import { readFileSync } from "node:fs";
import { join } from "node:path";
import { compile, type JSONSchema } from "json-schema-to-typescript";
import { format, resolveConfig } from "prettier";
import { repoRoot } from "../../common/paths.ts";

/** The files with types made from `models/schemas/`, each with its schema and the name of what that describes. */
export const generatedTypes = {
  "infra/recipe/recipe.generated.ts": ["recipe", "Recipe"],
  "infra/store/manifest.generated.ts": ["manifest", "Manifest"],
  "infra/stage/job-spec.generated.ts": ["spec", "JobSpec"],
} as const;

export type GeneratedFile = keyof typeof generatedTypes;

/** What a generated file should hold: `npm run generate` writes it. */
export async function generateTypes(file: GeneratedFile): Promise<string> {
  const [schema, name] = generatedTypes[file];
  const text = readFileSync(join(repoRoot, "models", "schemas", `${schema}.schema.json`), "utf8");
  const types = await compile(typedPart(JSON.parse(text)) as JSONSchema, name, {
    bannerComment: `// Made from models/schemas/${schema}.schema.json by \`npm run generate\`; change that instead.`,
    customName: ({ title }, key) => (title === undefined ? undefined : (key ?? name)),
    format: false,
  });
  return formatted(file, types);
}

/** A text as prettier leaves it in that file, which is named from the root of the repository. */
export async function formatted(file: string, text: string): Promise<string> {
  const path = join(repoRoot, file);
  return format(text, { ...(await resolveConfig(path)), filepath: path });
}

/** Keywords that say more than a type can: what they rule out is ruled out by validating. */
const untyped = ["oneOf", "if", "then", "$comment", "minItems", "propertyNames", "$schema", "$id", "title"];

/**
 * A schema as its types need it. What has a default is required, because validating fills the defaults in; a reference
 * stands alone, because what stands beside it would make a second type of the same thing.
 */
function typedPart(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(typedPart);
  if (typeof schema !== "object" || schema === null) return schema;
  if ("$ref" in schema) return { $ref: schema.$ref };
  const kept = Object.entries(schema).filter(([keyword]) => !untyped.includes(keyword));
  const part = Object.fromEntries(kept.map(([keyword, value]) => [keyword, typedPart(value)]));
  const { properties, required = [] } = schema as {
    properties?: Record<string, object>;
    required?: string[];
  };
  if (properties === undefined) return part;
  const filled = Object.keys(properties).filter((key) => "default" in (properties[key] ?? {}));
  return { ...part, required: [...new Set([...required, ...filled])] };
}
