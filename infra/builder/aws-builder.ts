import { randomUUID } from "node:crypto";
import { join } from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { AwsBuilderConfig } from "../config/aws-schema.ts";
import { repoRoot } from "../../common/paths.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Store } from "../store/store.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { instanceFor, type InstanceName } from "../stage/instance-for.ts";
import type { Desks } from "./aws/desk.ts";
import { deskName, groupKinds, groupName } from "./aws/names.ts";
import type { Builder } from "../stage/builder.ts";
import { jobSpec } from "../stage/job.ts";

/** The boxes that this deployment declares; none while nothing needs one. */
export type Boxes = Partial<Record<InstanceName, pulumi.Resource>>;

/**
 * Runs stages on boxes that exist while they are needed. The attaching process lives here: it puts the stage on the box's
 * desk in the bucket, sees that a box comes for it, and follows. Nobody connects to a box.
 */
export class AwsBuilder implements Builder {
  private atWork: Promise<ReadonlyMap<string, string>> | undefined;

  /** @param here runs the stages that are not worth a box */
  constructor(
    private readonly aws: AwsBuilderConfig,
    private readonly stack: string,
    private readonly store: Store,
    private readonly toolchain: Toolchain,
    private readonly desks: Desks,
    private readonly boxes: Boxes,
    private readonly here: Builder,
  ) {}

  async runOf(stage: PlannedStage): Promise<string> {
    if (instanceFor(stage) === undefined) return this.here.runOf(stage);
    if (stage.artifact !== undefined) return stage.artifact.run;
    this.atWork ??= this.desks.runs();
    return (await this.atWork).get(stage.key) ?? randomUUID();
  }

  attach(
    name: string,
    stage: PlannedStage,
    run: pulumi.Input<string>,
    options: pulumi.CustomResourceOptions,
  ): command.local.Command {
    const box = instanceFor(stage);
    if (box === undefined) return this.here.attach(name, stage, run, options);
    const told = (chosen: string) => ({
      box: deskName(this.stack, box),
      // Those that are declared are asked: what the configuration allows changes no stage.
      groups: groupKinds.map((kind) => groupName(this.stack, box, kind)),
      region: this.aws.region,
      spec: jobSpec(stage, chosen, this.store),
    });
    const attach = `${this.toolchain.python} -m pipress cloud run`;
    return new command.local.Command(
      name,
      {
        create: attach,
        update: attach,
        environment: { PYTHONPATH: join(repoRoot, "models") },
        stdin: pulumi.output(run).apply((chosen) => JSON.stringify(told(chosen))),
        addPreviousOutputInEnv: false,
        // Progress comes on standard error; the one JSON document on standard output is for the state.
        logging: command.local.Logging.Stderr,
      },
      pulumi.mergeOptions(options, { dependsOn: this.boxes[box] ?? [] }),
    );
  }
}
