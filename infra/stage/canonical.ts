import { createHash } from "node:crypto";
import canonicalizeModule from "canonicalize";

// The package exports the function itself; its types speak of a default export.
const canonicalize = canonicalizeModule as unknown as (value: unknown) => string | undefined;

/** SHA-256 in hex of a value's canonical JSON (RFC 8785), so that the order of keys does not matter. */
export function digestOf(value: unknown): string {
  const text = canonicalize(value);
  if (text === undefined) throw new TypeError("only JSON values have a digest");
  return createHash("sha256").update(text).digest("hex");
}
