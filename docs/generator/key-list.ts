import type { z } from "zod";

/** A schema of recipe or configuration, with two keywords of ours. */
export type JsonSchema = z.core.JSONSchema.JSONSchema & {
  /** A default that is no plain value. */
  defaultText?: string;
  /** As it would be written. */
  example?: string;
};

interface Key {
  /** From the root: `rollout.steps`, `hosts[].address`. */
  path: string;
  schema: JsonSchema;
  required: boolean;
}

/** `builder.aws.region` stands in the section `builder.aws`, other keys in that of their first part. */
const section = /^((builder|steps)\.)?[^.]+/;

/** Longer lists of values are written once. */
const LONG = 12;

/**
 * Markdown with a section for each key at the top, and a list of the keys below it. An object, or a long list of
 * values, that stands in several places is described in the first; the others name that.
 */
export function keySections(root: JsonSchema): string {
  /** What stands beside a reference wins over what it refers to. */
  const resolved = (schema: unknown): JsonSchema => {
    if (typeof schema !== "object" || schema === null) return {};
    const name = "$ref" in schema ? String(schema.$ref).replace("#/$defs/", "") : "";
    return { ...root.$defs?.[name], ...schema };
  };

  /** The keys directly below a schema, of all its variants. */
  const below = (schema: unknown, path: string): Key[] => {
    const { properties = {}, required, items, additionalProperties, anyOf = [] } = resolved(schema);
    return [
      ...Object.entries(properties).map(([name, property]) => ({
        path: path === "" ? name : `${path}.${name}`,
        schema: resolved(property),
        required: required?.includes(name) === true,
      })),
      ...(items === undefined ? [] : below(items, `${path}[]`)),
      ...(additionalProperties === undefined ? [] : below(additionalProperties, `${path}.NAME`)),
      ...anyOf.flatMap((variant) => below(variant, path)),
    ];
  };

  const typeText = (schema: unknown): string => {
    const { title, anyOf, items, additionalProperties: values, type = "object", ...rest } = resolved(schema);
    if (title !== undefined) return title;
    if (anyOf) return [...new Set(anyOf.map(typeText))].join(" or ");
    const choice = rest.const === undefined ? rest.enum : [rest.const];
    if (choice) return choice.map((value) => `\`${String(value)}\``).join(" or ");
    if (items) return `list of ${typeText(items)}`;
    if (typeof values === "object") return `map of names to ${typeText(values)}`;
    const names: Record<string, string> = { string: "text", boolean: "true or false" };
    return (
      [type]
        .flat()
        .map((name) => names[name] ?? name)
        .join(" or ") + rangeText(rest)
    );
  };

  const describedAt = new Map<string, string>();
  const lines = (parent: unknown, parentPath: string): string[] =>
    unique(below(parent, parentPath)).flatMap(({ path, schema, required }) => {
      const nested = below(schema, "");
      const values = (schema.enum?.length ?? 0) > LONG ? schema.enum : undefined;
      const body = JSON.stringify(nested.length > 0 ? nested : (values ?? path));
      const before = describedAt.get(body);
      if (before === undefined) describedAt.set(body, path);
      const type = before !== undefined && schema.enum ? "text" : typeText(schema);
      const facts = [
        `(${type}${required ? ", required" : defaultText(schema)})${schema.description === undefined ? "" : ":"}`,
        schema.description,
        schema.example === undefined ? undefined : `Example: \`${schema.example}\`.`,
        before === undefined ? undefined : `As \`${before}\`.`,
      ]
        .filter((part) => part !== undefined)
        .join(" ");
      const inSection = path.replace(section, "").replace(/^\.(NAME\.)?/, "");
      const own = inSection === "" ? `\n### \`${path}\`\n\n${facts}\n` : `- **\`${inSection}\`** ${facts}`;
      return [own, ...(before === undefined ? lines(schema, path) : [])];
    });
  return lines(root, "").join("\n");
}

/** Keys that several variants have: each once, required only where all of those require it. */
function unique(keys: readonly Key[]): Key[] {
  const byPath = new Map<string, Key>();
  for (const key of keys) {
    const known = byPath.get(key.path);
    byPath.set(key.path, known === undefined ? key : { ...known, required: known.required && key.required });
  }
  return [...byPath.values()];
}

function defaultText(schema: JsonSchema): string {
  if (schema.defaultText !== undefined) return `, default ${schema.defaultText}`;
  const isObject = typeof schema.default === "object" && !Array.isArray(schema.default);
  return schema.default === undefined || isObject ? "" : `, default \`${JSON.stringify(schema.default)}\``;
}

function rangeText({ minimum, maximum, exclusiveMinimum, exclusiveMaximum }: JsonSchema): string {
  // Zod bounds every integer by what a double can hold.
  const highest = maximum === Number.MAX_SAFE_INTEGER ? undefined : maximum;
  if (minimum !== undefined && highest !== undefined) return `, ${String(minimum)} to ${String(highest)}`;
  const limits = {
    "at least": minimum,
    above: exclusiveMinimum,
    "at most": highest,
    below: exclusiveMaximum,
  };
  return Object.entries(limits)
    .filter(([, value]) => value !== undefined)
    .map(([words, value]) => `, ${words} ${String(value)}`)
    .join("");
}
