import { z } from "zod";
import { nearest } from "./nearest.ts";
import { s3UrlForm, s3UrlProblem } from "../store/s3-address.ts";
import { parseBytes } from "./units.ts";

/** An object whose unknown keys are errors; the message has one line per unknown key, naming the nearest known one. */
function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => unknownKeyMessage(key, Object.keys(shape))).join("\n")
        : undefined,
  });
}

function unknownKeyMessage(key: string, known: readonly string[]): string {
  const candidate = nearest(key, known);
  return candidate === undefined
    ? `unknown key; known here: ${known.join(", ")}`
    : `unknown key; did you mean "${candidate}"?`;
}

/** A size in bytes, written with its unit: `"2 GiB"`. */
const size = z.string().transform((text, context) => {
  const bytes = parseBytes(text);
  if (bytes !== undefined) return bytes;
  context.addIssue({ code: "custom", message: `"${text}" is not a size; write it as "2 GiB" or "3.99 GB"` });
  return z.NEVER;
});

const hostName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/,
    "must be lower-case letters, digits and dashes (a host name)",
  );

const port = z.int().min(1).max(65535);

/** Where llama-server comes from on a host. */
const build = z.enum(["release", "device"]);

/** A Raspberry Pi emulated on this machine: QEMU's Cortex-A72 with real systemd and sshd. */
const virtualHost = strict({
  name: hostName,
  virtual: strict({
    /** Guest memory. @default "2 GiB" */
    memory: size.default(2 * 2 ** 30).pipe(z.int().min(512 * 2 ** 20, "must be at least 512 MiB")),
    /** Guest cores; a Pi 4 has four. @default 2 */
    cpus: z.int().min(1).max(8).default(2),
    /** Guest disk, sparse. @default "8 GiB" */
    disk: size.default(8 * 2 ** 30).pipe(z.int().min(2 * 2 ** 30, "must be at least 2 GiB")),
  }),
  build: build.default("release"),
});

const publicHostKey = z
  .string()
  .regex(
    /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+) [A-Za-z0-9+/=]+/,
    'must be a public key such as "ssh-ed25519 AAAA…"; read it on the host itself with `cat /etc/ssh/ssh_host_ed25519_key.pub`',
  );

/** A Raspberry Pi 4 reached over SSH. */
const sshHost = strict({
  name: hostName,
  /** Host name or address that SSH connects to. */
  address: z.string().min(1),
  /** @default 22 */
  port: port.default(22),
  /** A user with passwordless sudo. @default "pi" */
  user: z.string().min(1).default("pi"),
  /** Private key on this machine; without it the SSH agent is asked. */
  privateKeyFile: z.string().min(1).optional(),
  /** The host's public key as in known_hosts, e.g. the output of `ssh-keyscan -t ed25519 pi-1` without the name. */
  hostKey: publicHostKey,
  build: build.default("release"),
});

/** Picks the schema by the key `virtual`, so that problems are those of the kind of host that was meant. */
const host = z
  .unknown()
  .transform((value, context): z.infer<typeof virtualHost> | z.infer<typeof sshHost> => {
    const isVirtual = typeof value === "object" && value !== null && "virtual" in value;
    const parsed = isVirtual ? virtualHost.safeParse(value) : sshHost.safeParse(value);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues)
      context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
    return z.NEVER;
  });

/** Settings of llama-server that a stack may set over those of the recipe. */
const service = strict({
  /** Port llama-server listens on. @default 8080 */
  port: port.default(8080),
  /** Tokens of context. */
  context: z.int().min(256).max(131072).optional(),
  /** Threads; a Pi 4 has four cores. */
  threads: z.int().min(1).max(16).optional(),
  /** Tokens per second below which a release is rolled back. */
  minTokensPerSecond: z.number().min(0).optional(),
});

/** A Linux machine that runs the stages, reached over SSH. It needs Python 3.11, a C++ compiler, cmake and ninja. */
const sshBuilder = strict({
  /** Host name or address that SSH connects to. */
  address: z.string().min(1),
  /** @default 22 */
  port: port.default(22),
  user: z.string().min(1),
  /** Private key on this machine; without it the SSH agent is asked. */
  privateKeyFile: z.string().min(1).optional(),
  /** Socket of an SSH agent other than the one in SSH_AUTH_SOCK. */
  agentSocket: z.string().min(1).optional(),
  hostKey: publicHostKey,
  /** Folder on the box for tools, jobs and copies of artifacts. @default ~/.cache/pipress and ~/.local/share/pipress */
  folder: z
    .string()
    .regex(/^\/[^'"\n]*$/, "must be an absolute path")
    .optional(),
});

/** A folder or a bucket as a URL. */
const storeUrl = z.string().superRefine((url, context) => {
  const problem = url.startsWith("s3:") ? s3UrlProblem(url) : undefined;
  if (problem !== undefined)
    context.addIssue({ code: "custom", message: `"${url}" ${problem}; ${s3UrlForm}` });
  else if (!/^(file:\/\/\/.|s3:)/.test(url))
    context.addIssue({
      code: "custom",
      message: 'must be a folder or a bucket as a URL, e.g. "file:///srv/pipress" or "s3://bucket/prefix"',
    });
});

/** Everything a `fleet` stack reads from its `Pulumi.<stack>.yaml`, under the namespace `pipress`. */
export const stackConfigSchema = strict({
  /** Name of a file in `models/recipes/` (without `.yaml`) or a path to a recipe. */
  recipe: z.string().min(1),
  /** Where artifacts live: `file:///folder`, or `s3://bucket/prefix` (`?endpoint=…&region=…` where it is not AWS's own).
   * @default a folder under the data directory */
  store: storeUrl.optional(),
  /** Where stages run. @default this machine */
  builder: strict({ ssh: sshBuilder.optional() }).optional(),
  /**
   * Token for gated or private repositories on Hugging Face. Set it with `config set --secret`; it reaches the stages
   * that download, and no key, log or clear state. Without it they take HF_TOKEN from the environment.
   */
  huggingFaceToken: z
    .string()
    .regex(/^hf_\w+$/, "must be a token of Hugging Face, which begins with hf_")
    .optional(),
  /** The fleet, in the order of the rollout: the first host is the canary. */
  hosts: z
    .array(host)
    .default([])
    .superRefine((hosts, context) => {
      hosts.forEach(({ name }, index) => {
        if (hosts.findIndex((other) => other.name === name) !== index)
          context.addIssue({ code: "custom", path: [index, "name"], message: `"${name}" is used twice` });
      });
    }),
  service: service.default({ port: 8080 }),
}).superRefine(({ builder, store }, context) => {
  if (builder?.ssh !== undefined && !store?.startsWith("s3:"))
    context.addIssue({
      code: "custom",
      path: ["store"],
      message: `must be a bucket both machines reach, because stages run on ${builder.ssh.address}; ${s3UrlForm}`,
    });
});

export type SshBuilderConfig = z.infer<typeof sshBuilder>;
export type StackConfig = z.infer<typeof stackConfigSchema>;
export type HostConfig = StackConfig["hosts"][number];
export type VirtualHostConfig = z.infer<typeof virtualHost>;
export type SshHostConfig = z.infer<typeof sshHost>;
