import type { Props } from "./handler.ts";

// Markers of Pulumi's wire format (sdk/nodejs/runtime/rpc.ts); fixed for good, they are in every state file.
const unknownMarker = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

/** A value that only an `up` will know; arrives at preview. */
export function isUnknown(value: unknown): boolean {
  return value === unknownMarker;
}

/** Stands for "not known yet" in what a preview returns. */
export const unknown = unknownMarker;

/** True where the value, or anything inside it, is unknown. */
export function hasUnknowns(value: unknown): boolean {
  if (Array.isArray(value)) return value.some(hasUnknowns);
  if (value !== null && typeof value === "object") return Object.values(value).some(hasUnknowns);
  return isUnknown(value);
}

/** Marks an output as secret: the engine encrypts it in state and hides it in output. */
export function secret(value: unknown): Props {
  return { [signatureKey]: secretSignature, value };
}

export function isSecret(value: unknown): boolean {
  return (
    value !== null &&
    typeof value === "object" &&
    (value as Record<string, unknown>)[signatureKey] === secretSignature
  );
}

/** The value with every secret marker in it removed. */
export function unwrapSecrets(value: unknown): unknown {
  if (isSecret(value)) return unwrapSecrets((value as { value: unknown }).value);
  if (Array.isArray(value)) return value.map(unwrapSecrets);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, unwrapSecrets(entry)]));
  return value;
}

/** True where the value, or anything inside it, is marked secret. */
export function hasSecrets(value: unknown): boolean {
  if (isSecret(value)) return true;
  if (value !== null && typeof value === "object") return Object.values(value).some(hasSecrets);
  return false;
}
