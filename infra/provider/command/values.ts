/**
 * Property values as they travel between engine and provider: plain JSON in which a few marked shapes stand for what
 * JSON lacks (secrets, assets, archives, values not known yet). The marks are Pulumi's wire format
 * (sdk/go/common/resource/sig and sdk/nodejs/runtime/rpc.ts).
 */
export type Wire = null | boolean | number | string | Wire[] | WireObject;
export interface WireObject {
  [key: string]: Wire;
}

const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";
const outputSignature = "d0e6a833031e9bbcd3f4e8bde6ca49a4";
const assetSignature = "c44067f5952c0a294b673a41bacd8c17";
const archiveSignature = "0def7320c3a5731c473e5ecbe6d01bc7";

/** What stands for "not known before the update runs". One per kind of value; the engine mostly sends the first. */
const unknownMarks = new Set([
  "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** The value a preview returns for an output that only the real run can tell. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

export interface Asset {
  path?: string;
  text?: string;
  uri?: string;
  hash?: string;
}

export interface Archive {
  path?: string;
  uri?: string;
  assets?: WireObject;
  hash?: string;
}

/** True for a JSON object that is none of the marked shapes. */
export function isPlainObject(value: Wire | undefined): value is WireObject {
  return isObject(value) && !(signatureKey in value);
}

export function isUnknown(value: Wire | undefined): boolean {
  if (typeof value === "string") return unknownMarks.has(value);
  return hasSignature(value, outputSignature) && value["value"] === undefined;
}

export function isSecret(value: Wire | undefined): value is WireObject {
  return hasSignature(value, secretSignature);
}

export function makeSecret(value: Wire): Wire {
  return isSecret(value) ? value : { [signatureKey]: secretSignature, value };
}

/** The value inside a secret or a known output; any other value as it is. Looks at the outermost mark only. */
export function withoutMark(value: Wire | undefined): Wire | undefined {
  if (isSecret(value)) return withoutMark(value["value"]);
  if (hasSignature(value, outputSignature) && value["value"] !== undefined)
    return withoutMark(value["value"]);
  return value;
}

/** A deep copy with every secret laid open. Assets and archives stay as they are. */
export function reveal(value: Wire | undefined): Wire | undefined {
  const bare = withoutMark(value);
  if (Array.isArray(bare)) return bare.map((element) => reveal(element) ?? null);
  if (!isPlainObject(bare)) return bare;
  return Object.fromEntries(Object.entries(bare).map(([key, element]) => [key, reveal(element) ?? null]));
}

export function asAsset(value: Wire | undefined): Asset | undefined {
  return hasSignature(value, assetSignature) ? (value as Asset) : undefined;
}

export function asArchive(value: Wire | undefined): Archive | undefined {
  return hasSignature(value, archiveSignature) ? (value as Archive) : undefined;
}

export function makeAsset(asset: Asset): WireObject {
  return { [signatureKey]: assetSignature, ...asset };
}

export function makeArchive(archive: Archive): WireObject {
  return { [signatureKey]: archiveSignature, ...archive } as WireObject;
}

/**
 * Whether two values are the same to a diff. Assets and archives are compared by content hash when both carry one, so
 * that a file which only moved counts as unchanged (as Asset.Equals does in the Go SDK).
 */
export function equal(left: Wire | undefined, right: Wire | undefined): boolean {
  if (left === right) return true;
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false;
    return left.every((element, index) => equal(element, right[index]));
  }
  if (!isObject(left) || !isObject(right)) return false;
  if (left[signatureKey] !== right[signatureKey]) return false;
  const hashed = asAsset(left) !== undefined || asArchive(left) !== undefined;
  if (hashed && left["hash"] && right["hash"]) return left["hash"] === right["hash"];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return [...keys].every((key) => equal(left[key] ?? null, right[key] ?? null));
}

function isObject(value: Wire | undefined): value is WireObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasSignature(value: Wire | undefined, signature: string): value is WireObject {
  return isObject(value) && value[signatureKey] === signature;
}
