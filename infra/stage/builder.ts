import type * as pulumi from "@pulumi/pulumi";
import type { PlannedStage } from "./planned.ts";
import type { BuilderAddress } from "./job.ts";

/** Where stages run. */
export interface Builder {
  /**
   * The name of the run whose artifact the state should hold. It is what makes a stage run again when its artifact is
   * gone: the one in the store while it is there, else the one at work, else a new one.
   */
  runOf(stage: PlannedStage): Promise<string>;
  /** What a stage's resource needs of the builder. */
  connectionFor(stage: PlannedStage): BuilderConnection;
}

export interface BuilderConnection {
  /** Undefined for this machine. */
  address?: BuilderAddress;
  /** Secrets for the job, where no log or process list shows them. */
  environment?: Record<string, pulumi.Input<string>>;
  /** What has to exist before the stage can run. */
  dependsOn?: readonly pulumi.Resource[];
}
