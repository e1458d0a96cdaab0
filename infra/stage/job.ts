import type { SshBuilderConfig } from "../config/schema.ts";
import type { PlannedStage } from "./planned.ts";

/** What a stage is, wherever it runs: nothing in it depends on a machine. */
export interface StageSpec {
  stage: string;
  name: string;
  key: string;
  run: string;
  /** Whether the release waits for it: it goes before stages that only measure. */
  forRelease: boolean;
  params: Record<string, unknown>;
  /** Keys of the upstream stages, by the name under which this stage knows them. */
  inputs: Record<string, string>;
  /** Versions of the tools that the key depends on. */
  toolVersions: Record<string, string>;
}

/** How the launcher reaches the builder; undefined for this machine. */
export interface BuilderAddress {
  ssh?: SshBuilderConfig;
  aws?: {
    stack: string;
    /** The instance's job queue in the bucket: `home/gpu`. */
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

/** What the job runner (`python -m pipress stage run`) reads on standard input; `models/schemas/spec.schema.json`. */
export interface JobSpec extends StageSpec {
  /** URL. */
  store: string;
  /** Folder of the jobs. */
  jobs: string;
  tools: { llamaCppBin: string; convertScript: string };
}

export function stageSpec(
  { stage, name, key, params, inputKeys, toolVersions, forRelease }: PlannedStage,
  run: string,
): StageSpec {
  return { stage, name, key, run, forRelease, params, inputs: inputKeys, toolVersions };
}

/** The one JSON document that is printed when the artifact is in the store. */
export interface JobResult {
  key: string;
  run: string;
  files: Record<string, { sha256: string; bytes: number }>;
  metrics: Record<string, number | string | boolean | null>;
  seconds: number;
}
