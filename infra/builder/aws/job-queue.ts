import * as pulumi from "@pulumi/pulumi";

/** Inputs of a stack's job queues. */
export interface JobQueueArgs {
  /** URL of the bucket, `s3://…`. */
  store: string;
  stack: string;
  /** Keys of all stages of the plan: other jobs are removed, or an instance would work on them first. */
  wanted: string[];
}

/** The job queues of a stack's instances hold jobs of its plan alone. */
export class JobQueue extends pulumi.CustomResource {
  constructor(name: string, args: JobQueueArgs, options?: pulumi.CustomResourceOptions) {
    super("pipress:index:JobQueue", name, { ...args }, options);
  }
}
