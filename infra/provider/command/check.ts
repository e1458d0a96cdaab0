/**
 * The check step: are the inputs of the declared types, and what are they with defaults filled in and secrets marked.
 * Mirrors infer's default check (pulumi-go-provider v1.3.0 infer/resource.go, apply_defaults.go, apply_secrets.go).
 * Reasons name types, never values: a private key given in the wrong place must not reach the display
 * (pulumi-command #773).
 */
import { objectTypes, type Properties, type Property, type Type } from "./schema.ts";
import {
  asArchive,
  asAsset,
  isPlainObject,
  isSecret,
  isUnknown,
  makeSecret,
  withoutMark,
  type Wire,
  type WireObject,
} from "./values.ts";

export interface Failure {
  /** Property path, e.g. `connection.host`. */
  property: string;
  reason: string;
}

/** Checks inputs against their declaration. Defaults are only filled in where nothing failed. */
export function check(
  properties: Properties,
  inputs: WireObject,
): { inputs: WireObject; failures: Failure[] } {
  const known = withoutInternals(inputs);
  const failures = failuresOfObject(properties, known, "").sort((a, b) => (a.property < b.property ? -1 : 1));
  return { inputs: complete(properties, known, failures.length === 0), failures };
}

/** CopyToRemote's own rules on its source (remote/copyController.go, Check). */
export function checkSource(inputs: WireObject): Failure[] {
  const source = withoutMark(inputs["source"]);
  const asset = asAsset(source);
  const archive = asArchive(source);
  if (asset && asset.path === undefined && asset.text === undefined) {
    return [{ property: "asset", reason: "asset must be a path-based file asset or a text asset" }];
  }
  if (archive && archive.path === undefined) {
    return [{ property: "archive", reason: "archive must be a path to a file or directory" }];
  }
  return [];
}

/** Inputs without what the engine and the SDKs add for themselves. */
export function withoutInternals(inputs: WireObject): WireObject {
  return Object.fromEntries(
    Object.entries(inputs).filter(
      ([key, value]) => key !== "version" && !key.startsWith("__") && value !== null,
    ),
  );
}

function failuresOfObject(properties: Properties, object: WireObject, path: string): Failure[] {
  const at = (name: string) => (path ? `${path}.${name}` : name);
  const wrong = Object.entries(object).flatMap(([name, value]) => {
    const property = properties[name];
    if (!property) return [{ property: at(name), reason: `Unrecognized field '${name}'` }];
    return value === null ? [] : failuresOf(property.type, value, at(name));
  });
  const missing = Object.keys(properties)
    .filter((name) => properties[name]?.required && (object[name] ?? null) === null)
    .map((name) => ({ property: at(name), reason: `Missing required field '${name}'` }));
  return [...wrong, ...missing];
}

function failuresOf(type: Type, marked: Wire, path: string): Failure[] {
  const value = withoutMark(marked) ?? null;
  if (isUnknown(value) || type === "any") return [];
  const mismatch = (expected: string) => [
    { property: path, reason: `Field must be ${expected}; got ${describe(value)} instead` },
  ];
  if (type === "assetOrArchive") {
    return asAsset(value) || asArchive(value) ? [] : mismatch("an asset or an archive");
  }
  if (type === "archive") return asArchive(value) ? [] : mismatch("an archive");
  if (type === "integer") return Number.isInteger(value) ? [] : mismatch("an integer");
  if (typeof type === "string") return typeof value === type ? [] : mismatch(`a ${type}`);
  if ("enum" in type) return typeof value === "string" ? [] : mismatch("a string");
  if ("list" in type) {
    if (!Array.isArray(value)) return mismatch("an array");
    return value.flatMap((element, index) => failuresOf(type.list, element, `${path}[${index}]`));
  }
  if (!isPlainObject(value)) return mismatch("an object");
  if ("object" in type) return failuresOfObject(objectTypes[type.object], value, path);
  return Object.entries(value).flatMap(([key, element]) => failuresOf(type.map, element, `${path}.${key}`));
}

function describe(value: Wire): string {
  if (value === null) return "nothing";
  if (asAsset(value)) return "an asset";
  if (asArchive(value)) return "an archive";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

function complete(properties: Properties, object: WireObject, fillIn: boolean): WireObject {
  const result: WireObject = {};
  for (const [name, value] of Object.entries(object)) {
    const property = properties[name];
    if (value === null) continue;
    result[name] = property ? completeProperty(property, value, fillIn) : value;
  }
  if (!fillIn) return result;
  for (const [name, property] of Object.entries(properties)) {
    if (property.default !== undefined) result[name] ??= property.default;
  }
  return result;
}

function completeProperty(property: Property, value: Wire, fillIn: boolean): Wire {
  const { type } = property;
  const secret = property.secret === true || isSecret(value);
  const bare = withoutMark(value) ?? null;
  const isDeclaredObject = typeof type === "object" && "object" in type && isPlainObject(bare);
  if (isDeclaredObject) {
    const completed = complete(objectTypes[type.object], bare, fillIn);
    return secret ? makeSecret(completed) : completed;
  }
  return secret ? makeSecret(value) : value;
}
