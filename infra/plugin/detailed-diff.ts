import { isDeepStrictEqual } from "node:util";
import { z } from "zod";

import type { PropertyChange, Props } from "./handler.ts";

/**
 * Every difference between two property bags, by property path, as deep as it can be named: a changed
 * `vars.pipress_release.settings.context` shows as just that in the preview.
 *
 * @param replaceOn top-level properties that cannot be changed in place
 */
export function diffProps(
  old: Props,
  next: Props,
  replaceOn: readonly string[] = [],
): Record<string, PropertyChange> {
  const changes: Record<string, PropertyChange> = {};
  const compare = (path: readonly (string | number)[], before: unknown, after: unknown): void => {
    if (isDeepStrictEqual(before, after)) return;
    if (isContainer(before) && isContainer(after) && Array.isArray(before) === Array.isArray(after)) {
      for (const key of new Set([...Object.keys(before), ...Object.keys(after)]))
        compare([...path, Array.isArray(before) ? Number(key) : key], before[key], after[key]);
      return;
    }
    const kind = before === undefined ? "add" : after === undefined ? "delete" : "update";
    const replace = replaceOn.includes(String(path[0]));
    // A key that is no plain name is quoted, as in `a["b.c"]`, which is how Pulumi parses it.
    changes[z.core.toDotPath(path)] = replace ? { kind, replace } : { kind };
  };
  compare([], old, next);
  return changes;
}

function isContainer(value: unknown): value is Props {
  return value !== null && typeof value === "object";
}
