import { z } from "zod";
import type { CheckFailure, CheckResult, Props } from "./handler.ts";
import { hasUnknowns } from "./values.ts";

/**
 * Validates inputs by a zod schema: every problem at once, each by its property path, defaults filled in. A value that
 * is not known yet (preview) is no problem; it is checked again when it is.
 */
export function checkAgainst(schema: z.ZodType<Props>, inputs: Props): CheckResult {
  const parsed = schema.safeParse(inputs);
  if (parsed.success) return { inputs: parsed.data };
  const failures = parsed.error.issues.flatMap((issue) => toFailures(issue, inputs));
  return { inputs, failures };
}

function toFailures(issue: z.core.$ZodIssue, inputs: Props): CheckFailure[] {
  if (hasUnknowns(valueAt(inputs, issue.path))) return [];
  if (issue.code === "unrecognized_keys")
    return issue.keys.map((key) => ({
      property: z.core.toDotPath([...issue.path, key]),
      reason: "unknown property",
    }));
  const missing = valueAt(inputs, issue.path) === undefined;
  return [{ property: z.core.toDotPath(issue.path), reason: missing ? "missing" : issue.message }];
}

/** The value at the path, or the unknown that stands where the path leads through. */
function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  const [first, ...rest] = path;
  if (first === undefined || typeof value !== "object" || value === null) return value;
  return valueAt((value as Record<PropertyKey, unknown>)[first], rest);
}
