import { randomUUID } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import type { PlannedStage } from "../stage/planned.ts";
import type { Builder, BuilderConnection } from "../stage/builder.ts";
import { instanceFor, type InstanceName } from "../stage/instance-for.ts";
import type { JobQueues } from "./aws/job-queues.ts";
import { groupKinds, groupName, queueName } from "./aws/names.ts";

/** What this deployment declares of each instance; nothing while no stage needs one. */
export type Instances = Partial<Record<InstanceName, readonly pulumi.Resource[]>>;

/** A stack on AWS, as its stages are told of it. */
export interface AwsStack {
  region: string;
  /** Its `sharedName`. */
  stack: string;
  queues: JobQueues;
  instances: Instances;
}

/**
 * Runs stages on instances that exist while they are needed. The attaching process runs here: it puts the stage into the
 * instance's job queue in the bucket, has an instance started for it, and follows. Nobody connects to an instance.
 */
export class AwsBuilder implements Builder {
  private atWork: Promise<ReadonlyMap<string, string>> | undefined;

  /** @param localBuilder runs the stages that are not worth an instance */
  constructor(
    private readonly aws: AwsStack,
    private readonly localBuilder: Builder,
  ) {}

  async runOf(stage: PlannedStage): Promise<string> {
    if (instanceFor(stage) === undefined) return this.localBuilder.runOf(stage);
    if (stage.artifact !== undefined) return stage.artifact.run;
    this.atWork ??= this.aws.queues.runs();
    return (await this.atWork).get(stage.key) ?? randomUUID();
  }

  connectionFor(stage: PlannedStage): BuilderConnection {
    const instance = instanceFor(stage);
    if (instance === undefined) return this.localBuilder.connectionFor(stage);
    const { stack, region, instances } = this.aws;
    return {
      address: {
        aws: {
          stack,
          queue: queueName(stack, instance),
          // Those that are declared are asked: what the configuration allows changes no stage.
          groups: groupKinds.map((kind) => groupName(stack, instance, kind)),
          region,
        },
      },
      dependsOn: instances[instance] ?? [],
    };
  }
}
