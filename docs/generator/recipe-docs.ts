import type { DocumentedKey } from "./key-list.ts";

/** The parts of JSON Schema that the recipe's schema is written in. */
export interface JsonSchema {
  type?: string | string[];
  description?: string;
  properties?: Record<string, JsonSchema | true>;
  required?: string[];
  items?: JsonSchema;
  additionalProperties?: JsonSchema | boolean;
  enum?: unknown[];
  default?: unknown;
  minimum?: number;
  exclusiveMinimum?: number;
  maximum?: number;
  exclusiveMaximum?: number;
  $ref?: string;
  $defs?: Record<string, JsonSchema>;
}

/** Every key of a recipe, in the order of its schema. */
export function recipeKeys(root: JsonSchema): DocumentedKey[] {
  /** What stands beside a reference wins over what it refers to. */
  const resolved = (schema: JsonSchema): JsonSchema => {
    const name = schema.$ref?.replace("#/$defs/", "");
    return name === undefined ? schema : { ...root.$defs?.[name], ...schema };
  };
  const identityOf = (schema: JsonSchema): unknown =>
    (schema.$ref !== undefined && root.$defs?.[schema.$ref.replace("#/$defs/", "")]) || schema;
  /** Where the properties, and the long lists of values, were described first. */
  const described = new Map<unknown, string>();
  const seen = (what: unknown, path: string): string | undefined => {
    if (what === undefined) return undefined;
    const before = described.get(what);
    if (before === undefined) described.set(what, path);
    return before;
  };
  const below = (schema: JsonSchema, path: string): DocumentedKey[] => [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
      property === true ? [] : key(property, path, name, schema.required?.includes(name) === true),
    ),
    ...(schema.items ? below(resolved(schema.items), `${path}[]`) : []),
    ...(typeof schema.additionalProperties === "object"
      ? below(resolved(schema.additionalProperties), `${path}.NAME`)
      : []),
  ];
  const key = (written: JsonSchema, parent: string, name: string, required: boolean): DocumentedKey[] => {
    const schema = resolved(written);
    const path = parent === "" ? name : `${parent}.${name}`;
    // A scalar that several keys share is described at each of them.
    const isShared = schema.properties !== undefined || schema.items !== undefined;
    const properties = (schema.items ? resolved(schema.items) : schema).properties;
    const before = seen(properties, path) ?? (isLong(schema.enum) ? seen(schema.enum, path) : undefined);
    const note = before === undefined ? "" : ` As \`${before.replace(/^steps\./, "")}\`.`;
    return [
      {
        path,
        identity: isShared ? identityOf(written) : written,
        type: before === undefined ? typeText(schema, resolved) : shortTypeText(schema),
        default:
          schema.default === undefined || isEmpty(schema.default)
            ? undefined
            : JSON.stringify(schema.default),
        required,
        description: `${schema.description ?? ""}${note}`.trim(),
        example: undefined,
      },
      ...(before === undefined ? below(schema, path) : []),
    ];
  };
  return below(root, "").map((entry) => ({ ...entry, path: entry.path.replace(/^steps\./, "") }));
}

function isLong(values: unknown[] | undefined): boolean {
  return values !== undefined && values.length > 12;
}

function shortTypeText({ type, items }: JsonSchema): string {
  return items !== undefined ? "list" : type === "string" ? "text" : "object";
}

function typeText(schema: JsonSchema, resolved: (schema: JsonSchema) => JsonSchema): string {
  if (schema.enum) return schema.enum.map((value) => `\`${String(value)}\``).join(" or ");
  const types = [schema.type ?? "object"].flat();
  if (types.includes("array"))
    return `list of ${schema.items ? typeText(resolved(schema.items), resolved) : "anything"}`;
  if (typeof schema.additionalProperties === "object")
    return `map of names to ${typeText(resolved(schema.additionalProperties), resolved)}`;
  const names: Record<string, string> = { string: "text", boolean: "true or false" };
  return types.map((type) => names[type] ?? type).join(" or ") + rangeText(schema);
}

function rangeText(schema: JsonSchema): string {
  const text = (words: string, value: number | undefined): string =>
    value === undefined ? "" : `${words} ${String(value)}`;
  const range = [
    text("at least", schema.minimum) + text("above", schema.exclusiveMinimum),
    text("at most", schema.maximum) + text("below", schema.exclusiveMaximum),
  ].filter((part) => part !== "");
  return range.length === 0 ? "" : `, ${range.join(", ")}`;
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}
