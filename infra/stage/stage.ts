import * as pulumi from "@pulumi/pulumi";
import type { Builder } from "./builder.ts";
import type { JobResult } from "./job.ts";
import type { PlannedStage } from "./planned.ts";

/** Inputs of a stage: where it stands in the plan, and who runs it. */
export interface StageArgs {
  stage: PlannedStage;
  /** The run the artifact is expected from, see `Builder.runOf`. */
  run: string;
  builder: Builder;
  /** Upstream stages, which must be done first. */
  upstream: readonly Stage[];
}

/** One stage of a recipe: its artifact is in the store when this resource is up to date. */
export class Stage extends pulumi.ComponentResource {
  /** Known at preview when the artifact is in the store already. */
  readonly result: pulumi.Output<JobResult>;
  readonly key: pulumi.Output<string>;

  constructor(name: string, args: StageArgs, options?: pulumi.ComponentResourceOptions) {
    super("pipress:stage:Stage", name, {}, options);
    const { stage, run, builder, upstream } = args;
    const job = builder.attach(name, stage, run, { parent: this, dependsOn: [...upstream] });
    this.key = pulumi.output(stage.key);
    this.result =
      stage.artifact === undefined
        ? job.stdout.apply((stdout) => JSON.parse(stdout) as JobResult)
        : pulumi.output(stage.artifact as JobResult);
    this.registerOutputs({ key: this.key });
  }
}
