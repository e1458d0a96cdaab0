/** A server's public key in the form of an authorized_keys or known-hosts line, and what it is compared with. */
import { createHash } from "node:crypto";

export interface HostKey {
  /** e.g. `ssh-ed25519` */
  type: string;
  blob: Buffer;
}

/**
 * Reads the first key of a text as Go's ParseAuthorizedKey does: blank lines, comments, and what stands before the key
 * type are skipped.
 * @throws Error when the text holds no key
 */
export function parseHostKey(text: string): HostKey {
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (!line || line.startsWith("#")) continue;
    const words = line.split(/\s+/);
    for (const [index, type] of words.entries()) {
      const blob = Buffer.from(words[index + 1] ?? "", "base64");
      if (typeOf(blob) === type) return { type, blob };
    }
  }
  throw new Error("failed to parse host key: ssh: no key found");
}

/** The key type that a key blob names in its first field. */
export function typeOf(blob: Buffer): string {
  if (blob.length < 4) return "";
  return blob.subarray(4, 4 + blob.readUInt32BE(0)).toString("latin1");
}

/** A key as ssh-keygen prints it: `ssh-ed25519 SHA256:…` */
export function fingerprint(blob: Buffer): string {
  return `${typeOf(blob)} SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}

/** The signature algorithms that prove possession of a key of this type. RSA keys no longer sign with SHA-1. */
export function algorithmsFor(type: string): string[] {
  return type === "ssh-rsa" ? ["rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"] : [type];
}
