import { z } from "zod";
import { checkAgainst } from "../../plugin/check-against.ts";
import type { Props, ResourceHandler } from "../../plugin/handler.ts";

const schema = z.strictObject({
  store: z.string().startsWith("s3://"),
  stack: z.string().min(1),
  wanted: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
});

/** Removes what no stage of the plan wants any more when the plan changes. Destroying it leaves the bucket as it is. */
export const jobQueueResource: ResourceHandler = {
  check: (inputs) => checkAgainst(schema, inputs),
  create: async (inputs) => {
    await removeUnwanted(inputs);
    return { id: String(inputs.stack), state: inputs };
  },
  update: async (_, inputs) => {
    await removeUnwanted(inputs);
    return inputs;
  },
};

async function removeUnwanted(inputs: Props): Promise<void> {
  const { store, stack, wanted } = inputs as z.infer<typeof schema>;
  // Loaded when needed: the AWS SDK takes half a second.
  const [{ S3Store }, { JobQueues }] = await Promise.all([
    import("../../store/s3-store.ts"),
    import("./job-queues.ts"),
  ]);
  await new JobQueues(new S3Store(store), stack).removeUnwanted(new Set(wanted));
}
