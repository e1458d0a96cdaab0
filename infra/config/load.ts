import { z } from "zod";
import { issuePlaces } from "../../common/strict.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { NamedModel } from "../model/model.ts";
import { artifactsConfigSchema, type ArtifactsConfig } from "./aws-schema.ts";
import { stackConfigSchema, type StackConfig } from "./schema.ts";

/** Namespace of this program's keys in `Pulumi.<stack>.yaml`. */
const namespace = "pipress";

/**
 * Checks a stack's whole configuration at once.
 * @param all every key and value of the stack as Pulumi hands them over (`namespace:key` → text).
 * @throws UserError carrying every problem, each by its config path.
 */
export function parseStackConfig(all: Readonly<Record<string, string>>): StackConfig {
  return parseWith(stackConfigSchema, all);
}

/** The same for a stack of the kind `artifacts`. */
export function parseArtifactsConfig(all: Readonly<Record<string, string>>): ArtifactsConfig {
  return parseWith(artifactsConfigSchema, all);
}

/**
 * The models that a stack's file names, those of its groups too, where nothing else of it can be read: its secrets may be
 * another's. What is written wrongly is left out.
 * @param written the configuration as the file has it
 */
export function namedModels(written: Readonly<Record<string, unknown>>): NamedModel[] {
  const groups = Object.values((written[`${namespace}:groups`] ?? {}) as object) as unknown[];
  const own = { recipe: written[`${namespace}:recipe`], model: written[`${namespace}:model`] };
  return [own, ...groups].flatMap((named) => {
    const { success, data } = namedModelSchema.safeParse(named);
    return success && (data.recipe ?? data.model) !== undefined ? [data] : [];
  });
}

const namedModelSchema = z.object({
  recipe: stackConfigSchema.shape.recipe,
  model: stackConfigSchema.shape.model,
});

function parseWith<Schema extends z.ZodObject>(
  schema: Schema,
  all: Readonly<Record<string, string>>,
): z.output<Schema> {
  const own = Object.entries(all).filter(([key]) => key.startsWith(`${namespace}:`));
  const raw = Object.fromEntries(
    own.map(([key, text]) => {
      const name = key.slice(namespace.length + 1);
      const known = schema.shape[name];
      return [name, known === undefined || isText(known) ? text : parseJson(text)];
    }),
  );
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw new UserError(parsed.error.issues.flatMap((issue) => problemsOf(issue, raw)));
}

/** Whether a key's value is text as the user wrote it; of all others Pulumi hands over the JSON. */
function isText({ _zod: { def } }: z.core.$ZodType): boolean {
  if (def.type === "pipe") return isText((def as z.core.$ZodPipeDef).in);
  const wrapped = (def as Partial<z.core.$ZodOptionalDef>).innerType;
  return wrapped === undefined ? ["string", "literal", "enum"].includes(def.type) : isText(wrapped);
}

/** A structured key given as plain text stays text, so that the schema says what it should have been. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function problemsOf(issue: z.core.$ZodIssue, raw: Record<string, unknown>): Problem[] {
  const missing = issue.code === "invalid_type" && valueAt(raw, issue.path) === undefined;
  return issuePlaces(issue).map(({ path, what }) => ({
    where: formatPath(path),
    what: missing ? "is required" : what,
  }));
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (node, key) => (node as Record<PropertyKey, unknown> | undefined)?.[key],
    value,
  );
}

/** `["hosts", 1, "port"]` → `pipress:hosts[1].port`, as `pulumi config set --path` takes it. */
function formatPath(path: readonly PropertyKey[]): string {
  const parts = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${String(part)}`));
  return `${namespace}:${parts.join("").slice(1)}`;
}
