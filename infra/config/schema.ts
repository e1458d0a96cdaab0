import { z } from "zod";
import { endpointSchema, groupsSchema, hostSchema, serviceSchema } from "./host-schema.ts";
import { rolloutSchema } from "./rollout-schema.ts";
import { strict } from "./strict.ts";

/** Everything a `fleet` stack reads from its `Pulumi.<stack>.yaml`, under the namespace `pipress`. */
export const stackConfigSchema = strict({
  /** Name of a file in `models/recipes/` (without `.yaml`) or a path to a recipe. */
  recipe: z.string().min(1),
  /** Where artifacts live. @default a folder under the data directory */
  store: z
    .string()
    .regex(/^file:\/\/\/.+/, 'must be a folder as a URL, e.g. "file:///srv/pipress"')
    .optional(),
  /** Where stages run. */
  builder: strict({ kind: z.literal("local") }).default({ kind: "local" }),
  /** The fleet, in the order of the rollout unless `rollout.orderBy` names a label. */
  hosts: z.array(hostSchema).default([]),
  /** An Ansible inventory whose hosts join those of `hosts`; a path, relative to the repository. */
  inventory: z.string().min(1).optional(),
  /** Settings by group, below those of a host. */
  groups: groupsSchema.default({}),
  /** Settings of llama-server on all hosts, below those of group and host. */
  service: serviceSchema.default({}),
  /** An OpenAI-compatible endpoint in front of all hosts. */
  endpoint: endpointSchema.optional(),
  /** Whether hosts get Debian's node exporter and hand it the facts of their board. @default false */
  monitoring: z.boolean().default(false),
  /** In which steps a release reaches the fleet. */
  rollout: rolloutSchema,
});

export type StackConfig = z.infer<typeof stackConfigSchema>;
