import type { Props } from "./handler.ts";

// Markers of Pulumi's wire format (sdk/nodejs/runtime/rpc.ts); fixed for good, they are in every state file.
const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

/** Stands for "not known yet" in what a preview returns. */
export const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** What stands for a value that only an `up` will know: one mark per kind of value, in inputs at preview. */
const unknownMarks = new Set([
  unknown,
  "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
  "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
  "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
  "030794c1-ac77-496b-92df-f27374a8bd58",
  "e48ece36-62e2-4504-bad9-02848725956a",
  "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
]);

/** True where the value, or anything inside it, is unknown. */
export function hasUnknowns(value: unknown): boolean {
  if (typeof value === "string") return unknownMarks.has(value);
  return typeof value === "object" && value !== null && Object.values(value).some(hasUnknowns);
}

/** Marks an output as secret: the engine encrypts it in state and hides it in output. */
export function secret(value: unknown): Props {
  return { [signatureKey]: secretSignature, value };
}
