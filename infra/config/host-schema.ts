import { z } from "zod";
import { duration, size } from "./quantity.ts";
import { chosen } from "../../common/chosen.ts";
import { strict } from "../../common/strict.ts";
import { modelSchema, oneModel, recipeName } from "../model/ready-model.ts";
import { access, port, sharedAccess } from "../ssh/machine.ts";

/** Also the name of a virtual machine's folder and of the host's resource. */
export const virtualName = z
  .string()
  .regex(
    /^[a-z]([a-z0-9-]{0,30}[a-z0-9])?$/,
    "must be 1 to 32 lower-case letters, digits or dashes, starting with a letter",
  );

/** What a virtual host can have, least and most. A Pi 4 has four cores and at most 8 GiB. */
export const virtualLimits = { memoryMiB: [512, 8192], cpus: [1, 4], diskGiB: [2, 512] } as const;

/** Inventories often name hosts by their domain names. */
const hostName = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/,
    "must be lower-case letters, digits, dashes and dots (a host name)",
  )
  .describe("Lower-case letters, digits, dashes and, unless it is virtual, dots.");

const groupName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/, "must be letters, digits, dashes, dots and underscores")
  .describe("The group under `groups` whose settings it takes.");

/** User of a Raspberry Pi; may use sudo. */
export const defaultUser = "pi";

/** Whom a service listens to. */
const allowFrom = z
  .array(
    z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()], {
      error: "must be an IP address or a network, e.g. 192.168.1.20 or 192.168.1.0/24",
    }),
  )
  .optional();

/** Nothing that a terminal could not have been given. */
export const sudoPassword = z
  .string()
  .min(1)
  .regex(/^[^\r\n]*$/, "must be one line")
  .optional()
  .describe(
    "What `sudo` asks the user for; a secret, set with `config set --secret --path`. Without it the environment's PIPRESS_SUDO_PASSWORD is taken.",
  );

const promptText = z.string().regex(/\S/, "must not be empty");

const namedPrompts = z
  .array(
    strict({
      name: z
        .string()
        .regex(/^[a-z][a-z0-9-]{0,31}$/, "must be 1 to 32 lower-case letters, digits or dashes")
        .describe("Lower-case letters, digits and dashes."),
      prompt: promptText.describe("The text."),
    }),
  )
  .min(1, "must name a system prompt");

/** One, or several by name; the nearest level's takes the place of all others. */
const systemPrompt = chosen([promptText, namedPrompts], (value) =>
  Array.isArray(value) ? namedPrompts : promptText,
);

export const serverSchema = strict({
  port: port
    .min(1024, "must be 1024 or higher: llama-server has no right to a lower port")
    .optional()
    .meta({ description: "Port llama-server listens on, 1024 or higher.", default: 8080 }),
  contextLength: z.int().min(256).max(131072).optional().describe("Tokens of context."),
  threads: z.int().min(1).max(16).optional().describe("Threads; a Pi 4 has four cores."),
  parallel: z.int().min(1).max(16).optional().describe("Requests served at a time; they share the context."),
  minTokensPerSecond: z
    .number()
    .min(0)
    .optional()
    .describe("Tokens per second below which a release is rolled back."),
  cacheType: z.enum(["f16", "q8_0"]).optional().meta({
    description: "How keys and values of the context are kept: `q8_0` takes half the memory of `f16`.",
    default: "f16",
  }),
  speculation: z.enum(["ngram", "none"]).optional().meta({
    description:
      "Whether llama-server guesses the next two tokens where the last three were there before, and checks both with the next one (`ngram`): it answers as without it, sooner where an answer repeats its prompt.",
    defaultText: "`ngram` for one request at a time with the kernels of the release, else `none`",
  }),
  ui: z.boolean().optional().meta({
    description:
      "Whether llama-server has its web page at `/`; it is built on this machine, from the pinned source and npm's registry.",
    default: false,
  }),
  flags: z
    .record(
      z.string().regex(/^--[a-z0-9][a-z0-9.-]*$/, "must be the long name of an option, e.g. --batch-size"),
      z.union([z.literal(true), z.number(), z.string().regex(/^[A-Za-z0-9._:,=+/-]+$/)], {
        error: "must be true, a number, or a text of letters, digits and ._:,=+/-",
      }),
    )
    .optional()
    .meta({
      description: "Further options of llama-server by their long names; the pinned build has to know them.",
      example: '{ "--batch-size": 256, "--no-warmup": true }',
    }),
  systemPrompt: systemPrompt.optional().meta({
    description:
      "A system prompt, or several by name, whose KV state the release carries: a request that begins with it starts right behind it.",
    example: '[{ "name": "desk", "prompt": "You are the help desk of a library." }]',
  }),
  allowFrom: allowFrom.meta({
    description:
      "Addresses and networks that may reach what runs on the host, beside itself and the load balancer; with `[]` nobody else.",
    defaultText: "anybody",
    example: '["192.168.1.0/24"]',
  }),
}).describe("Settings of llama-server, over those of the recipe.");

export type ServerConfig = z.infer<typeof serverSchema>;

/** What may stand at a host, at its group, and (as `server`) at the stack: the nearest wins. */
const settings = {
  build: z.enum(["prebuilt", "onDevice"]).optional().meta({
    description: "Where llama-server comes from: cross-compiled beforehand, or compiled on the host.",
    default: "prebuilt",
  }),
  unreachable: z.enum(["skip", "fail"]).optional().meta({
    description:
      "What a host means for its wave when it does not answer: it is left out until the next `up` (`skip`), or it counts as failed (`fail`).",
    defaultText: "that of `rollout.unreachable`",
  }),
  takeOver: z.boolean().optional().meta({
    description: "Whether a host that belongs to another stack is taken over instead of refused.",
    defaultText: "that of the stack",
  }),
  prepare: z.boolean().optional().meta({
    description:
      "Whether `up` switches the kernel's memory accounting on, in the host's own wave: one word in cmdline.txt, and a reboot. Without it a host that has it off serves too, with a warning and no memory limit.",
    defaultText: "that of `prepareHosts`",
  }),
  labels: z
    .record(z.string().min(1), z.union([z.string(), z.number()]).transform(String))
    .optional()
    .describe("Free text by name; `rollout.orderBy` names one."),
  server: serverSchema.optional(),
};

/** Settings that the hosts of one group share, and the model that they serve in the place of the stack's. */
export const groupsSchema = z.record(
  groupName,
  strict({
    recipe: recipeName
      .optional()
      .describe("How the model of this group is made, where it is another than the stack's."),
    model: modelSchema.optional(),
    ...sharedAccess,
    sudoPassword,
    ...settings,
  }).refine(({ recipe, model }) => recipe === undefined || model === undefined, oneModel),
);

function within([least, most]: readonly [number, number], unit: number, range: string) {
  const error = `must be ${range}`;
  return size.pipe(
    z
      .int()
      .min(least * unit, { error })
      .max(most * unit, { error }),
  );
}

/** A Raspberry Pi emulated on this machine: QEMU's Cortex-A72 with real systemd and sshd. */
export const virtualHost = strict({
  name: virtualName,
  group: groupName.optional(),
  virtual: strict({
    memory: within(virtualLimits.memoryMiB, 2 ** 20, "from 512 MiB to 8 GiB")
      .prefault("2 GiB")
      .describe("Guest memory, from 512 MiB to 8 GiB."),
    cpus: z
      .int()
      .min(virtualLimits.cpus[0])
      .max(virtualLimits.cpus[1])
      .default(2)
      .describe("Guest cores; a Pi 4 has four."),
    disk: within(virtualLimits.diskGiB, 2 ** 30, "from 2 to 512 GiB")
      .prefault("8 GiB")
      .describe("Guest disk, sparse, from 2 to 512 GiB."),
  }).describe("Instead of an address: a Raspberry Pi emulated on this machine."),
  ...settings,
});

/** A Raspberry Pi 4 reached over SSH. */
export const sshHost = strict({
  name: hostName,
  group: groupName.optional(),
  ...access,
  ...sharedAccess,
  sudoPassword,
  ...settings,
});

/** Virtual by the key `virtual`. */
export const hostSchema = chosen([sshHost, virtualHost], (value) =>
  typeof value === "object" && value !== null && "virtual" in value ? virtualHost : sshHost,
);

const endpointName = z
  .string({ error: "must be the name of a host, or a host with name, address and hostKey" })
  .pipe(hostName);

const endpointOwnHost = strict({
  name: hostName,
  ...access,
  user: access.user.default(defaultUser).describe("A user who may use sudo."),
  sudoPassword,
});

const endpointHost = chosen(
  [endpointName, endpointOwnHost],
  (value) =>
    typeof value === "object" && value !== null && !Array.isArray(value) ? endpointOwnHost : endpointName,
  "Name of a host of the fleet, or a host of its own, described as under `hosts`.",
);

/** One address for clients in front of the fleet. */
export const endpointSchema = strict({
  host: endpointHost,
  port: port.default(8000).describe("TCP port for clients."),
  certificate: z
    .string()
    .min(1)
    .optional()
    .describe(
      "File on this machine with certificate chain and key in PEM; without it clients speak plain HTTP.",
    ),
  allowFrom: allowFrom.meta({
    description: "Addresses and networks of clients that are let in, beside the load balancer's own host.",
    defaultText: "anybody",
  }),
  drainTimeout: duration
    .pipe(z.number().max(3600, "must be at most 1 hour"))
    .prefault("5 minutes")
    .describe("How long requests may take to end before a host is switched, at most an hour."),
});

/** A host as it is written down, before group and stack have filled what it leaves open. */
export type WrittenHost = z.infer<typeof hostSchema>;
