import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { strict } from "../../common/strict.ts";

const portMessage = "must be a port, 1 to 65535";

export const port = z.int(portMessage).min(1, portMessage).max(65535, portMessage);

/** Public keys that sshd can have, as `ssh -Q HostKeyAlgorithms` lists them. */
const hostKeyForm =
  /^(?:ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)[ \t]+[A-Za-z0-9+/]+={0,3}(?:[ \t][^\r\n]*)?$/;

/** `type base64`; a comment may follow, and is dropped, so that another comment is no other key. */
const hostKey = z
  .string()
  .trim()
  .regex(hostKeyForm, {
    error:
      'must be a public host key such as "ssh-ed25519 AAAA…", the content of /etc/ssh/ssh_host_ed25519_key.pub on the host',
    abort: true,
  })
  .refine(isWhole, { error: "is cut off, or its data are those of another type: copy the whole line" })
  .overwrite((key) => key.split(/\s+/, 2).join(" "));

/** A key's data are fields with their lengths before them, the first of them its type (RFC 4253, section 6.6). */
function isWhole(key: string): boolean {
  const [type, base64 = ""] = key.split(/\s+/);
  const data = Buffer.from(base64, "base64");
  const fields: string[] = [];
  let offset = 0;
  while (offset + 4 <= data.length) {
    const start = offset + 4;
    offset = start + data.readUInt32BE(offset);
    fields.push(data.toString("latin1", start, offset));
  }
  return offset === data.length && fields.length > 1 && fields[0] === type;
}

/** One word that cannot be mistaken for an option and needs no quoting in ssh's configuration. */
function word(what: string) {
  return z
    .string()
    .regex(/^[A-Za-z0-9_.:][A-Za-z0-9_.:-]*$/, `must be ${what}: letters, digits and . _ : - only`);
}

const user = word("a user's name");

/** Of this machine. A relative path would mean another file wherever `pulumi` starts a program of its own. */
const filePath = z
  .string()
  .regex(/^(~\/|\/)/, "must be an absolute path, or one that starts with ~/")
  .regex(/^[^"\\$\n\r]*$/, 'must be a path without ", \\, $ and line breaks, which ssh takes for its own');

/** How one gets in: with a key file no other key is offered; without one the agent's are, and ssh's usual ones. */
const keys = {
  privateKeyFile: filePath
    .optional()
    .describe(
      "Private key on this machine: an absolute path, or one that starts with `~/`. A key with a passphrase has to be in an agent, where its `.pub` file will do. Without it the agent's keys are offered, and those that ssh takes by itself.",
    ),
  agentSocket: filePath
    .optional()
    .describe("Socket of an SSH agent on this machine, other than the one in SSH_AUTH_SOCK."),
};

/** What people write in its place, each with what is meant. */
const address = z
  .string()
  .regex(/^[^@]*$/, { error: "has a user in it, who belongs under `user`", abort: true })
  .regex(/^[^[\]]*$/, { error: "is an IPv6 address in brackets: leave them out", abort: true })
  .regex(/^(?!fe[89ab][0-9a-f]:)/i, {
    error:
      "is a link-local address, which means something on one network card alone: take the host's name or another address",
    abort: true,
  })
  .pipe(word("a host name or an IP address"))
  // With one colon; an IPv6 address has at least two.
  .pipe(z.string().regex(/^(?![^:]+:\d+$)/, "has a port in it, which belongs under `port`"))
  .describe("Host name or IP address of the machine; an alias of ~/.ssh/config is none.");

const own = {
  address,
  port: port.default(22).describe("Port of sshd."),
  user: user.describe("User that SSH signs in as."),
  hostKey: hostKey.describe(
    "The machine's public key, e.g. the content of /etc/ssh/ssh_host_ed25519_key.pub on it, or the output of `ssh-keyscan -t ed25519 pi-1` without the name.",
  ),
  ...keys,
};

const bastion = strict(own).describe("A machine to jump over on the way. Its user needs no sudo.");

/** Everything needed to reach a machine over SSH and to know that it is the right one; fields of a schema. */
export const access = { ...own, bastion: bastion.optional() };

/** The fields that machines of one group can have in common; each may be left to the group, or to a default. */
export const sharedAccess = {
  port: port.optional().meta({ description: "Port of sshd.", default: 22 }),
  user: user.optional().meta({ description: "A user who may use sudo.", default: "pi" }),
  ...keys,
  bastion: access.bastion,
};

/** A machine by its name in messages and in ssh's configuration. */
export const machineSchema = strict({ name: word("a name"), ...access });

/** A machine and how it is reached. */
export type Machine = z.infer<typeof machineSchema>;

/** One machine on the way: the one meant, or its bastion. */
export type Hop = z.infer<typeof bastion>;

/** `~/x` as an absolute path; state keeps what the user wrote, which is right on every machine. */
export function expandHome(path: string): string {
  return path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
}

/** A public key's fingerprint as ssh prints it: `SHA256:…`. */
export function fingerprint(publicKey: string): string {
  const blob = Buffer.from(publicKey.split(" ")[1] ?? "", "base64");
  return `SHA256:${createHash("sha256").update(blob).digest("base64").replace(/=+$/, "")}`;
}
