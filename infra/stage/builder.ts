import type * as command from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import type { PlannedStage } from "./planned.ts";

/** Where stages run. */
export interface Builder {
  /**
   * The name of the run whose artifact the state should hold. It is what makes a stage run again when its artifact is
   * gone: the one in the store while it is there, else the one at work, else a new one.
   */
  runOf(stage: PlannedStage): Promise<string>;
  /** A command that submits the stage unless it is at work or done, attaches to it, and prints its `JobResult`. */
  attach(
    name: string,
    stage: PlannedStage,
    run: pulumi.Input<string>,
    options: pulumi.CustomResourceOptions,
  ): command.local.Command;
}
