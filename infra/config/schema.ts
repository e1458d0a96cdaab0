import { z } from "zod";
import { awsBuilder } from "./aws-schema.ts";
import { endpointSchema, groupsSchema, hostSchema, serverSchema, sudoPassword } from "./host-schema.ts";
import { anyway, modelSchema, oneModel, recipeName } from "../model/ready-model.ts";
import { rolloutSchema } from "./rollout-schema.ts";
import { strict } from "../../common/strict.ts";
import { access } from "../ssh/machine.ts";
import { parseS3Url, s3UrlForm, s3UrlProblem } from "../store/s3-address.ts";

const sshBuilder = strict({
  ...access,
  folder: z
    .string()
    .regex(/^\/[^'"\n]*$/, "must be an absolute path")
    .optional()
    .meta({
      description: "Folder on the builder machine for tools, jobs and copies of artifacts.",
      defaultText: "`~/.cache/pipress` and `~/.local/share/pipress`",
    }),
}).describe(
  "A Linux machine that runs the stages, reached over SSH. It needs Python 3.11, a C++ compiler, cmake and ninja.",
);

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
  kind: z.literal("fleet", { error: 'must be "fleet" or "artifacts"' }).optional().meta({
    description: "What kind of stack: this one, or `artifacts`, the bucket for its artifacts.",
    default: "fleet",
  }),
  recipe: recipeName
    .optional()
    .describe(
      "How the model is made: name of a file in `models/recipes/` (without `.yaml`), or a path to a recipe. Either this or `model`.",
    ),
  model: modelSchema.optional(),
  store: storeUrl.optional().meta({
    description:
      "Where artifacts live: `file:///folder`, or `s3://bucket/prefix` (`?endpoint=…&region=…` where it is not AWS's own).",
    defaultText: "a folder under the data directory",
  }),
  builder: strict({ ssh: sshBuilder.optional(), aws: awsBuilder.optional() })
    .optional()
    .meta({ description: "Where stages run.", defaultText: "this machine" }),
  huggingFaceToken: z
    .string()
    .regex(/^hf_\w+$/, "must be a token of Hugging Face, which begins with hf_")
    .optional()
    .describe(
      "Token for gated or private repositories on Hugging Face. Set it with `config set --secret`; it reaches the stages that download, and no key, log or clear state. Without it they take HF_TOKEN from the environment.",
    ),
  hosts: z
    .array(hostSchema, {
      error: ({ input }) =>
        input === null || input === "" ? "is empty: list hosts, or leave the key out" : undefined,
    })
    .prefault([])
    .describe("The fleet, in the order of the rollout unless `rollout.orderBy` names a label."),
  inventory: z
    .string()
    .min(1)
    .optional()
    .describe("An Ansible inventory whose hosts join those of `hosts`; a path, relative to the repository."),
  sudoPassword: sudoPassword.describe(
    "What `sudo` asks the user for on all hosts, below those of group and host; a secret, set with `config set --secret`. Without it the environment's PIPRESS_SUDO_PASSWORD is taken.",
  ),
  prepareHosts: z
    .boolean()
    .default(false)
    .describe(
      "Whether `up` prepares hosts as their `prepare` says: it switches the kernel's memory accounting on, which takes a reboot.",
    ),
  groups: groupsSchema.default({}).describe("Settings by group, below those of a host."),
  server: serverSchema
    .default({})
    .describe("Settings of llama-server on all hosts, below those of group and host."),
  takeOver: z
    .boolean()
    .default(false)
    .describe(
      "Whether hosts that belong to another stack are taken over instead of refused. That stack leaves them alone from then on.",
    ),
  endpoint: endpointSchema.optional().describe("An OpenAI-compatible endpoint in front of all hosts."),
  monitoring: z
    .boolean()
    .default(false)
    .describe("Whether hosts get Debian's node exporter and hand it the facts of their board."),
  rollout: rolloutSchema.describe("In which steps a release reaches the fleet."),
})
  .refine(({ recipe, model }) => (recipe ?? model) !== undefined, {
    path: ["recipe"],
    error: "is required, or pipress:model for a model that is ready",
    when: anyway,
  })
  .refine(({ recipe, model }) => recipe === undefined || model === undefined, oneModel)
  .superRefine(({ builder, store }, context) => {
    const problem = (path: string[], message: string): void => {
      context.addIssue({ code: "custom", path, message });
    };
    if (builder?.ssh !== undefined && builder.aws !== undefined)
      problem(["builder"], "names two builders, ssh and aws; keep one");
    if (store?.startsWith("s3:") !== true) {
      const where = builder?.ssh?.address ?? (builder?.aws && "EC2 instances");
      if (where !== undefined)
        problem(
          ["store"],
          `must be a bucket both machines reach, because stages run on ${where}; ${s3UrlForm}`,
        );
    } else if (builder?.aws !== undefined && s3UrlProblem(store) === undefined) {
      if (!/^[A-Za-z0-9._/-]+$/.test(parseS3Url(store).prefix))
        problem(
          ["store"],
          "needs a prefix of letters, digits, dots and dashes, to which the instances' roles are limited",
        );
    }
  });

export type SshBuilderConfig = z.infer<typeof sshBuilder>;
export type StackConfig = z.infer<typeof stackConfigSchema>;
