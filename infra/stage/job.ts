import type { PlannedStage } from "./planned.ts";
import type { Store } from "../store/store.ts";

/** What the job runner (`python -m pipress stage run`) reads on standard input; `models/schemas/spec.schema.json`. */
export interface JobSpec {
  stage: string;
  name: string;
  key: string;
  run: string;
  /** Whether the release waits for it: it goes before stages that only measure. */
  forRelease: boolean;
  params: Record<string, unknown>;
  inputs: Record<string, string>;
  store: string;
  jobs: string;
  tools: { llamaCppBin: string; convertScript: string };
  toolVersions: Record<string, string>;
}

/** What every builder tells a job; where it works and with which tools is the builder's own. */
export function jobSpec(
  { stage, name, key, params, inputKeys, toolVersions, forRelease }: PlannedStage,
  run: string,
  store: Store,
): Omit<JobSpec, "jobs" | "tools"> {
  return { stage, name, key, run, forRelease, params, inputs: inputKeys, store: store.url, toolVersions };
}

/** The one JSON document that the job runner prints when the artifact is in the store. */
export interface JobResult {
  key: string;
  run: string;
  files: Record<string, { sha256: string; bytes: number }>;
  metrics: Record<string, number | string | boolean | null>;
  seconds: number;
}
