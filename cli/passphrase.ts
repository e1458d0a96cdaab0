import { createDecipheriv, pbkdf2Sync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { shortName } from "./pulumi-arguments.ts";
import { configDir } from "../common/paths.ts";
import { quote } from "../common/shell.ts";
import { readYaml } from "../common/read-yaml.ts";
import { UserError, type Problem } from "../common/user-error.ts";

/** Encrypts the secrets of the stack `dev`, an API key that is only good on this machine: docs/decisions/0003. */
export const DEV_PASSPHRASE = "pipress-dev";

/** A stack as far as its passphrase is concerned. */
export interface StackSecrets {
  /** Its name, without organization and project. */
  name: string;
  /** Address of the backend that holds its state. */
  backend: string;
  /** Its `Pulumi.<stack>.yaml`, which need not be there yet. */
  file: string;
}

/** Where `./pipress` keeps the passphrase of this user's stacks: one for all of them. */
export function passphraseFile(): string {
  return join(configDir(), "passphrase");
}

/** Writes a random passphrase that this user alone reads. It must not be there yet. */
export function writePassphrase(file = passphraseFile()): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(file, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
}

/**
 * Variables by which pulumi finds a stack's passphrase; none where the user's environment names one, or where there is none.
 * @throws UserError when others can read the passphrase file
 */
export function passphraseVariables(
  stack: string | undefined,
  backend: string,
  user: NodeJS.ProcessEnv,
): Record<string, string> {
  if (user.PULUMI_CONFIG_PASSPHRASE !== undefined || user.PULUMI_CONFIG_PASSPHRASE_FILE !== undefined)
    return {};
  if (isForDev(stack, backend)) return { PULUMI_CONFIG_PASSPHRASE: DEV_PASSPHRASE };
  const file = passphraseFile();
  if (stack === undefined || !existsSync(file)) return {};
  if ((statSync(file).mode & 0o077) !== 0)
    throw new UserError({
      where: file,
      what: "others on this machine can read the passphrase of your stacks",
      remedy: `\`chmod 600 ${shown(file)}\``,
    });
  return { PULUMI_CONFIG_PASSPHRASE_FILE: file };
}

/**
 * Why the secrets of a stack would not be safe, with the line that makes them so; undefined where they are, or where another
 * secrets provider keeps them.
 */
export function passphraseProblem(
  stack: StackSecrets,
  user: NodeJS.ProcessEnv,
): PassphraseProblem | undefined {
  const { name, backend, file } = stack;
  if (isForDev(name, backend)) return undefined;
  const { secretsprovider = "", encryptedkey, encryptionsalt } = readStackFile(file);
  if (encryptedkey !== undefined || !["", "default", "passphrase"].includes(secretsprovider))
    return undefined;
  // Pulumi Cloud keeps the secrets of its stacks itself.
  if (/^https?:/.test(backend) && encryptionsalt === undefined) return undefined;
  const where = `stack ${name}`;
  const make = existsSync(passphraseFile()) ? "" : `${lineThatMakes()} && `;
  if (encryptionsalt !== undefined && opensSalt(DEV_PASSPHRASE, encryptionsalt)) {
    const change = `./pipress pulumi stack change-secrets-provider passphrase --stack ${name}`;
    return {
      kind: "published",
      where,
      what: "its secrets are encrypted with the passphrase of the stack dev, which is published with this program",
      remedy: `change it: \`${make}PULUMI_CONFIG_PASSPHRASE=${DEV_PASSPHRASE} ${change} < ${shown(passphraseFile())}\``,
    };
  }
  const { PULUMI_CONFIG_PASSPHRASE: given, PULUMI_CONFIG_PASSPHRASE_FILE: givenFile } = user;
  const isOwn = given === undefined ? givenFile !== undefined : given !== DEV_PASSPHRASE;
  if (isOwn || (given === undefined && existsSync(passphraseFile()))) return undefined;
  if (given === DEV_PASSPHRASE)
    return {
      kind: "environment",
      where,
      what: "PULUMI_CONFIG_PASSPHRASE is the passphrase of the stack dev, which is published with this program",
      remedy: `\`unset PULUMI_CONFIG_PASSPHRASE\`${make && `, then make one: \`${lineThatMakes()}\``}`,
    };
  return {
    kind: "none",
    where,
    what: "it has no passphrase, which encrypts its API key and its other secrets",
    remedy: `make one for all your stacks: \`${lineThatMakes()}\`, or set PULUMI_CONFIG_PASSPHRASE_FILE`,
  };
}

/** There is none, everybody knows the one in use, or the one in the environment. */
type PassphraseProblem = Problem & { kind: "none" | "published" | "environment" };

/** The published passphrase serves one stack alone, in a state on this machine. */
function isForDev(stack: string | undefined, backend: string): boolean {
  return stack !== undefined && shortName(stack) === "dev" && backend.startsWith("file://");
}

/** The line of a shell that does what `writePassphrase` does. */
function lineThatMakes(): string {
  const file = passphraseFile();
  return `(umask 077; mkdir -p ${shown(dirname(file))}; head -c 32 /dev/urandom | base64 > ${shown(file)})`;
}

/** A path as one writes it in a shell. */
export function shown(path: string): string {
  const home = `${homedir()}/`;
  const short = path.startsWith(home) ? `~/${path.slice(home.length)}` : path;
  return /^[\w./~-]+$/.test(short) ? short : quote(path);
}

function readStackFile(file: string): {
  secretsprovider?: string;
  encryptedkey?: string;
  encryptionsalt?: string;
} {
  const read = existsSync(file) ? ((readYaml(file) ?? {}) as Record<string, unknown>) : {};
  // A key that stands there without a value is as good as none.
  return Object.fromEntries(Object.entries(read).filter(([, value]) => typeof value === "string"));
}

/**
 * Whether a passphrase is the one that a stack's `encryptionsalt` was made with, which pulumi writes as
 * `v1:<salt>:v1:<nonce>:<the word "pulumi", encrypted>`.
 */
export function opensSalt(passphrase: string, encryptionSalt: string): boolean {
  const [, salt = "", , nonce = "", text = ""] = encryptionSalt
    .split(":")
    .map((part) => Buffer.from(part, "base64"));
  const key = pbkdf2Sync(passphrase, salt, 1_000_000, 32, "sha256");
  const sealed = Buffer.from(text);
  try {
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAuthTag(sealed.subarray(-16));
    return (
      Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]).toString() === "pulumi"
    );
  } catch {
    return false;
  }
}
