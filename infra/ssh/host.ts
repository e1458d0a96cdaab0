import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";

const port = z.int().min(1).max(65535);

/** `type base64 [comment]`, as in known_hosts without the name. */
const hostKey = z
  .string()
  .regex(
    /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,3}( [^\r\n]*)?$/,
    'must be a public host key such as "ssh-ed25519 AAAA…", the content of /etc/ssh/ssh_host_ed25519_key.pub on the host',
  );

/** One word that cannot be mistaken for an option and needs no quoting in ssh's configuration. */
const word = z.string().regex(/^[A-Za-z0-9_.:][A-Za-z0-9_.:-]*$/, "must be a plain name or address");

const filePath = z
  .string()
  .regex(/^(~\/|\/)[^"\n\r]*$/, "must be an absolute path, or one that starts with ~/");

const access = {
  address: word,
  port: port.default(22),
  user: word,
  hostKey,
  privateKeyFile: filePath.optional(),
  agentSocket: filePath.optional(),
};

/** Everything needed to reach a host over SSH and to know that it is the right one. */
export const hostSchema = z.strictObject({
  name: word,
  ...access,
  bastion: z.strictObject(access).optional(),
});

export type PlayHost = z.infer<typeof hostSchema>;
export type HostAccess = Omit<PlayHost, "name" | "bastion">;

/** `~/x` as an absolute path; state keeps what the user wrote, which is right on every machine. */
export function expandHome(path: string): string {
  return path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
}

/** A public key's fingerprint as ssh prints it: `SHA256:…`. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}
