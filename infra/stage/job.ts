import type { SshBuilderConfig } from "../config/schema.ts";
import type { Manifest } from "../store/manifest.ts";
import type { JobSpec } from "./job-spec.generated.ts";
import type { PlannedStage } from "./planned.ts";

export type { JobSpec };

/** What a stage is, wherever it runs: nothing in it depends on a machine. */
export type StageSpec = Omit<JobSpec, "store" | "jobs" | "tools">;

/** How the launcher reaches the builder; undefined for this machine. */
export interface BuilderAddress {
  ssh?: SshBuilderConfig;
  aws?: {
    /** What the stack is called in the bucket: `home-3f9a01c2`. */
    stack: string;
    /** The instance's job queue in the bucket: `home-3f9a01c2/gpu`. */
    queue: string;
    /** Auto Scaling groups that may be there, in the order in which they are asked. */
    groups: readonly string[];
    region: string;
  };
}

/**
 * What the launcher `infra/builder/run-stage.ts` reads on standard input, and so what a stage's resource holds. It names
 * the store as the configuration does, and no folder of a machine: another clone, HOME or toolchain is no change.
 */
export interface StageJob {
  spec: StageSpec;
  /** URL of the store, or `default`. */
  store: string;
  builder?: BuilderAddress;
}

export function stageSpec(
  { stage, name, key, params, inputKeys, toolVersions, forRelease, neededFor }: PlannedStage,
  run: string,
): StageSpec {
  const needed = neededFor && { neededFor: [...neededFor] };
  return { stage, name, key, run, forRelease, ...needed, params, inputs: inputKeys, toolVersions };
}

/** The one JSON document that is printed when the artifact is in the store. */
export type JobResult = Pick<Manifest, "key" | "run" | "files" | "metrics" | "seconds">;
