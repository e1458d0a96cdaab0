import * as pulumi from "@pulumi/pulumi";
import type { Builder } from "../infra/stage/builder.ts";
import { describeBoots } from "../infra/builder/aws/boots.ts";
import { instancesNeeded } from "../infra/stage/instance-for.ts";
import { Desks } from "../infra/builder/aws/desk.ts";
import { AwsBuilder } from "../infra/builder/aws-builder.ts";
import { LocalBuilder } from "../infra/builder/local-builder.ts";
import { packSource } from "../infra/builder/ssh/source.ts";
import type { AwsBuilderConfig } from "../infra/config/aws-schema.ts";
import type { PlannedStage } from "../infra/stage/planned.ts";
import type { Prediction } from "../infra/prediction/predict.ts";
import { checkCost, describeCost, planCost } from "../infra/prediction/plan-cost.ts";
import { S3Store } from "../infra/store/s3-store.ts";
import type { Toolchain } from "../toolchain/toolchain.ts";

/** What the boxes of a stack are declared from. */
export interface BuildArgs {
  aws: AwsBuilderConfig;
  plan: readonly PlannedStage[];
  prediction: Prediction | undefined;
  /** URL of the bucket, `s3://…`. */
  store: string;
  toolchain: Toolchain;
  /** For the stage that downloads the model. */
  huggingFaceToken: pulumi.Output<string> | undefined;
}

/**
 * The part of a stack that runs its stages on AWS: network, boxes and their roles, declared while the plan has a missing stage
 * that needs them. Artifacts are in a bucket of another stack.
 * @throws UserError when the plan costs more than it may
 */
export async function buildPart(args: BuildArgs): Promise<Builder> {
  const { aws, plan, prediction, toolchain, huggingFaceToken } = args;
  const stack = pulumi.getStack();
  const store = new S3Store(args.store);
  const desks = new Desks(store, stack);

  const needed = instancesNeeded(plan);
  const cost = planCost(plan, prediction?.stages, aws);
  const boots = await desks.boots();
  await pulumi.log.info([describeCost(cost, aws), describeBoots(boots)].filter(Boolean).join("\n"));
  checkCost(cost, aws);

  const isPreview = pulumi.runtime.isDryRun();
  if (!isPreview) await desks.tidy(new Set(plan.map(({ key }) => key)));
  const here = new LocalBuilder(toolchain, store, huggingFaceToken);
  if (needed.size === 0) return new AwsBuilder(aws, stack, store, toolchain, desks, {}, here);
  const code = await desks.code(packSource(), !isPreview);
  const { declareBoxes } = await import("../infra/builder/aws/boxes.ts"); // the AWS package takes a while to load
  const boxes = await declareBoxes({ aws, stack, store: args.store, needed, code, huggingFaceToken });
  return new AwsBuilder(aws, stack, store, toolchain, desks, boxes, here);
}
