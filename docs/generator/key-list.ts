/** The parts of JSON Schema that the schemas of recipe and configuration are written in. */
export interface JsonSchema {
  type?: string | string[];
  /** Name of a kind of text, such as "duration". */
  title?: string;
  description?: string;
  properties?: Record<string, JsonSchema | true>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema | boolean;
  anyOf?: JsonSchema[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  /** Ours: a default that is no plain value. */
  defaultText?: string;
  /** Ours: as it would be written. */
  example?: string;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
}

interface Key {
  /** From the root: `rollout.steps`, `hosts[].address`. */
  path: string;
  schema: JsonSchema;
  required: boolean;
}

/** Keys whose own keys have sections. */
const opened = ["builder", "steps"];

/** Longer lists of values are written once. */
const LONG = 12;

/**
 * Markdown with a section for each key at the top, and a list of the keys below it. An object, or a long list of
 * values, that stands in several places is described in the first; the others name that.
 */
export function keySections(root: JsonSchema): string {
  /** What stands beside a reference wins over what it refers to. */
  const resolved = (schema: JsonSchema): JsonSchema => ({
    ...root.$defs?.[schema.$ref?.replace("#/$defs/", "") ?? ""],
    ...schema,
  });

  /** The keys directly below a schema, of all its variants. */
  const below = (written: JsonSchema, path: string): Key[] => {
    const { properties = {}, required, items, additionalProperties: values, anyOf = [] } = resolved(written);
    return [
      ...Object.entries(properties).map(([name, property]) => ({
        path: path === "" ? name : `${path}.${name}`,
        schema: property === true ? {} : resolved(property),
        required: required?.includes(name) === true,
      })),
      ...(items === undefined ? [] : below(items, `${path}[]`)),
      ...(typeof values === "object" ? below(values, `${path}.NAME`) : []),
      ...anyOf.flatMap((variant) => below(variant, path)),
    ];
  };

  const typeText = (written: JsonSchema): string => {
    const schema = resolved(written);
    if (schema.title !== undefined) return schema.title;
    if (schema.anyOf) return [...new Set(schema.anyOf.map(typeText))].join(" or ");
    const values = schema.const === undefined ? schema.enum : [schema.const];
    if (values) return values.map((value) => `\`${String(value)}\``).join(" or ");
    if (schema.items) return `list of ${typeText(schema.items)}`;
    if (typeof schema.additionalProperties === "object")
      return `map of names to ${typeText(schema.additionalProperties)}`;
    const names: Record<string, string> = { string: "text", boolean: "true or false" };
    const types = [schema.type ?? "object"].flat();
    return types.map((type) => names[type] ?? type).join(" or ") + rangeText(schema);
  };

  const describedAt = new Map<string, string>();
  const lines = (parent: JsonSchema, parentPath: string): string[] =>
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
      const own = isSection(path)
        ? `\n### \`${path}\`\n\n${facts}\n`
        : `- **\`${inSection(path)}\`** ${facts}`;
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

/** `hosts[].address` stands in the section `hosts`, `builder.aws.region` in one of its own. */
function isSection(path: string): boolean {
  const [top = "", ...names] = path.split(".");
  return names.length <= (opened.includes(top) ? 1 : 0);
}

/** A path as its section has it: `address`. */
function inSection(path: string): string {
  const [top = "", ...names] = path.split(".");
  return names
    .slice(opened.includes(top) ? 1 : 0)
    .join(".")
    .replace(/^NAME\./, "");
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
