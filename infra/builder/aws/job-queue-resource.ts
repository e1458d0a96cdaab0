import { z } from "zod";
import { checkAgainst } from "../../plugin/check-against.ts";
import type { Props, ResourceHandler } from "../../plugin/handler.ts";
import type { JobQueues } from "./job-queues.ts";

const schema = z.strictObject({
  /** URL of the bucket, `s3://…`. */
  store: z.string().startsWith("s3://"),
  /** Its `sharedName`; the stack's name alone in the state of an earlier version. */
  stack: z.string().min(1),
  /** Keys of all stages of the plan: other jobs are removed, or an instance would work on them first. */
  wanted: z.array(z.string().regex(/^[0-9a-f]{64}$/)),
});

/** Inputs of a stack's job queues. */
export type JobQueueArgs = z.infer<typeof schema>;

/** Removes what no stage of the plan wants any more when the plan changes. Destroying it leaves the bucket as it is. */
export const jobQueueResource: ResourceHandler = {
  check: (inputs) => checkAgainst(schema, inputs),
  create: async (inputs) => {
    const { stack, wanted } = inputs as JobQueueArgs;
    const queues = await openQueues(inputs);
    await queues.removeUnwanted(new Set(wanted));
    return { id: stack, state: inputs };
  },
  update: async ({ state }, inputs) => {
    const { stack, wanted } = inputs as JobQueueArgs;
    const queues = await openQueues(inputs);
    if (state.stack !== stack) await queues.takeCheckpoints(String(state.stack), wanted);
    await queues.removeUnwanted(new Set(wanted));
    return inputs;
  },
};

async function openQueues(inputs: Props): Promise<JobQueues> {
  const { store, stack } = inputs as JobQueueArgs;
  // Loaded when needed: the AWS SDK takes half a second.
  const [{ S3Store }, { JobQueues }] = await Promise.all([
    import("../../store/s3-store.ts"),
    import("./job-queues.ts"),
  ]);
  return new JobQueues(new S3Store(store), stack);
}
