import { isDeepStrictEqual } from "node:util";

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
  for (const key of new Set([...Object.keys(old), ...Object.keys(next)]))
    compare(formatKey("", key), old[key], next[key], replaceOn.includes(key), changes);
  return changes;
}

function compare(
  path: string,
  old: unknown,
  next: unknown,
  replace: boolean,
  changes: Record<string, PropertyChange>,
): void {
  if (isDeepStrictEqual(old, next)) return;
  if (isRecord(old) && isRecord(next)) {
    for (const key of new Set([...Object.keys(old), ...Object.keys(next)]))
      compare(formatKey(path, key), old[key], next[key], replace, changes);
  } else if (Array.isArray(old) && Array.isArray(next)) {
    for (let i = 0; i < Math.max(old.length, next.length); i++)
      compare(`${path}[${i}]`, old[i], next[i], replace, changes);
  } else {
    const kind = old === undefined ? "add" : next === undefined ? "delete" : "update";
    changes[path] = replace ? { kind, replace } : { kind };
  }
}

function isRecord(value: unknown): value is Props {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** Joins a key to a path the way Pulumi parses it: `a.b`, or `a["b.c"]` where the key is no plain name. */
export function formatKey(path: string, key: string): string {
  const plain = /^[A-Za-z_][A-Za-z0-9_]*$/.test(key);
  if (!plain) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}
