import type { SshBuilderConfig } from "../../config/schema.ts";
import type { Machine } from "../../ssh/machine.ts";
import type { JobSpec } from "../../stage/job.ts";

/** What the attaching process reads on standard input; the box adds its folders and tools to the spec. */
export interface BoxJob {
  box: SshBuilderConfig;
  spec: Omit<JobSpec, "jobs" | "tools">;
  /** What the job gets in its environment, where no log, state or process list shows it. */
  environment?: Record<string, string>;
}

/** The builder as ssh and problems name it. */
export function builderMachine(config: SshBuilderConfig): Machine {
  return { ...config, name: "builder" };
}
