import * as pulumi from "@pulumi/pulumi";
import type { JobQueueArgs } from "./job-queue-resource.ts";

/** The job queues of a stack's instances hold jobs of its plan alone. */
export class JobQueue extends pulumi.CustomResource {
  constructor(name: string, args: JobQueueArgs, options?: pulumi.CustomResourceOptions) {
    super("pipress:index:JobQueue", name, { ...args }, options);
  }
}
