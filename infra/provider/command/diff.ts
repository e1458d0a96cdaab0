/**
 * What changed between the inputs of the last deployment and those of this one, property by property. Mirrors infer's
 * default diff (pulumi-go-provider v1.3.0, infer/resource.go): any change is an update, unless the property forces a
 * replacement or the resource has no update.
 */
import { withoutInternals } from "./check.ts";
import type { Declaration } from "./schema.ts";
import { equal, isPlainObject, type Wire, type WireObject } from "./values.ts";

export interface Change {
  kind: "add" | "delete" | "update";
  replace: boolean;
}

/**
 * @param oldInputs checked inputs of the last deployment
 * @param newInputs checked inputs of this one
 * @param ignored top-level names from the `ignoreChanges` option
 * @returns one change per property path, e.g. `environment.NAME` or `triggers[0]`; empty when nothing changed
 */
export function diff(
  declaration: Pick<Declaration, "inputs" | "updatable">,
  oldInputs: WireObject,
  newInputs: WireObject,
  ignored: string[] = [],
): Map<string, Change> {
  const changes = new Map<string, Change["kind"]>();
  const news = { ...newInputs };
  for (const name of ignored) if (name in oldInputs) news[name] = oldInputs[name] ?? null;
  diffObjects(withoutInternals(oldInputs), withoutInternals(news), "", changes);
  return new Map(
    [...changes].map(([path, kind]) => {
      const property = declaration.inputs[rootOf(path)];
      return [path, { kind, replace: !declaration.updatable || property?.replaceOnChanges === true }];
    }),
  );
}

/** The top-level property of a path: `triggers` for `triggers[0]`. */
export function rootOf(path: string): string {
  return /^[^.[]+/.exec(path)?.[0] ?? path;
}

function diffObjects(
  olds: WireObject,
  news: WireObject,
  prefix: string,
  changes: Map<string, Change["kind"]>,
): void {
  for (const key of new Set([...Object.keys(olds), ...Object.keys(news)])) {
    diffValues(olds[key], news[key], keyPath(prefix, key), changes);
  }
}

function diffValues(
  old: Wire | undefined,
  fresh: Wire | undefined,
  path: string,
  changes: Map<string, Change["kind"]>,
): void {
  const [had, has] = [(old ?? null) !== null, (fresh ?? null) !== null];
  if (!had && !has) return;
  if (!had || !has) {
    changes.set(path, has ? "add" : "delete");
  } else if (Array.isArray(old) && Array.isArray(fresh)) {
    for (let index = 0; index < Math.max(old.length, fresh.length); index++) {
      diffValues(old[index], fresh[index], `${path}[${index}]`, changes);
    }
  } else if (isPlainObject(old) && isPlainObject(fresh)) {
    diffObjects(old, fresh, path, changes);
  } else if (!equal(old, fresh)) {
    // Secrets are compared whole: a path inside one would say what it is made of.
    changes.set(path, "update");
  }
}

function keyPath(prefix: string, key: string): string {
  if (!prefix) return key;
  return /[.[\]"]/.test(key) ? `${prefix}[${JSON.stringify(key)}]` : `${prefix}.${key}`;
}
