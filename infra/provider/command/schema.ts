import { z } from "zod";

/** The version of @pulumi/command that this serves. */
export const packageVersion = "1.2.1";

const notServed = z.undefined({ error: "not served here; the vendor's command plugin has it" }).optional();

/** Inputs of `command:local:Command`. */
export const inputs = z.strictObject({
  /** Runs on creation, and on change where `update` is not given. */
  create: z.string().optional(),
  update: z.string().optional(),
  delete: z.string().optional(),
  /** The resource is replaced when any of these values changes. */
  triggers: z.array(z.unknown()).optional(),
  stdin: z.string().optional(),
  /** Added to the provider's own environment, which is the engine's. */
  environment: z.record(z.string(), z.string()).optional(),
  /** Program and arguments before the command; `["/bin/sh", "-c"]` where there are none. */
  interpreter: z.array(z.string()).optional(),
  /** The engine's folder where not given. */
  dir: z.string().optional(),
  /** What the display shows; both where not given. */
  logging: z.enum(["stdout", "stderr", "stdoutAndStderr", "none"]).optional(),
  /** Whether PULUMI_COMMAND_STDOUT and PULUMI_COMMAND_STDERR hold the last run's output; true where not given. */
  addPreviousOutputInEnv: z.boolean().optional(),
  assetPaths: notServed,
  archivePaths: notServed,
});

export type CommandInputs = z.infer<typeof inputs>;

const text = { type: "string" };
const inputProperties = {
  create: text,
  update: text,
  delete: text,
  triggers: { type: "array", items: { $ref: "pulumi.json#/Any" }, replaceOnChanges: true },
  stdin: text,
  environment: { type: "object", additionalProperties: text },
  interpreter: { type: "array", items: text },
  dir: text,
  logging: text,
  addPreviousOutputInEnv: { type: "boolean" },
};

/** The package as `GetSchema` returns it: what is served of the vendor's schema.json of this version. */
export const packageSchema = JSON.stringify({
  name: "command",
  version: packageVersion,
  resources: {
    "command:local:Command": {
      description: "A command that runs on this machine as part of the resource's life.",
      properties: { ...inputProperties, stdout: text, stderr: text },
      required: ["stdout", "stderr"],
      inputProperties,
    },
  },
});
