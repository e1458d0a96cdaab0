import * as pulumi from "@pulumi/pulumi";
import { AwsBuilder, type Instances } from "../infra/builder/aws-builder.ts";
import { describeInstances } from "../infra/builder/aws/instance-records.ts";
import { JobQueue } from "../infra/builder/aws/job-queue.ts";
import { JobQueues, sourceObject } from "../infra/builder/aws/job-queues.ts";
import { sharedName } from "../infra/builder/aws/names.ts";
import { LocalBuilder } from "../infra/builder/local-builder.ts";
import { packSource } from "../infra/builder/ssh/source.ts";
import type { AwsBuilderConfig } from "../infra/config/aws-schema.ts";
import type { PlannedStage } from "../infra/stage/planned.ts";
import { checkCost, describeCost, planCost } from "../infra/prediction/plan-cost.ts";
import type { StageCost } from "../infra/prediction/stage-costs.ts";
import type { StackId } from "../infra/provider/stack-id.ts";
import type { Builder } from "../infra/stage/builder.ts";
import { instancesNeeded } from "../infra/stage/instance-for.ts";
import { S3Store } from "../infra/store/s3-store.ts";

/** What the instances of a stack are declared from. */
export interface BuildArgs {
  stackId: StackId;
  aws: AwsBuilderConfig;
  plan: readonly PlannedStage[];
  /** Predicted, by stage. */
  costs: ReadonlyMap<string, StageCost>;
  /** URL of the bucket, `s3://…`. */
  store: string;
  /** For the stage that downloads the model. */
  huggingFaceToken: pulumi.Output<string> | undefined;
}

/**
 * The part of a stack that runs its stages on AWS: job queues, network, instances and their roles, declared while the plan has
 * a missing stage that needs them. Artifacts are in a bucket of another stack.
 * @throws UserError when the plan costs more than it may
 */
export async function buildPart(args: BuildArgs): Promise<Builder> {
  const { stackId, aws, plan, costs, store, huggingFaceToken } = args;
  const stack = sharedName(pulumi.getStack(), await stackId.known());
  const queues = new JobQueues(new S3Store(store), stack);
  const cost = planCost(plan, costs, aws);
  const lines = [describeCost(cost, aws), describeInstances(await queues.instances())];
  await pulumi.log.info(lines.filter(Boolean).join("\n"));
  checkCost(cost, aws);
  const instances = await declareBuilder(args, stack);
  return new AwsBuilder({ region: aws.region, stack, queues, instances }, new LocalBuilder(huggingFaceToken));
}

async function declareBuilder(
  { aws, plan, store, huggingFaceToken }: BuildArgs,
  stack: string,
): Promise<Instances> {
  const needed = instancesNeeded(plan);
  if (needed.size === 0) return {};
  const queue = new JobQueue("job-queue", { store, stack, wanted: plan.map(({ key }) => key) });
  const code = sourceObject(stack, packSource());
  const { declareInstances } = await import("../infra/builder/aws/instances.ts"); // the AWS package takes a while to load
  const instances = await declareInstances({ aws, stack, store, needed, code, huggingFaceToken });
  return Object.fromEntries([...instances].map(([name, instance]) => [name, [instance, queue]]));
}
