import type { SshBuilderConfig } from "../../config/schema.ts";
import type { Machine } from "../../ssh/machine.ts";
import type { StageSpec } from "../../stage/job.ts";

/** A stage for a builder machine, which adds its folders and tools to the spec. */
export interface MachineJob {
  machine: SshBuilderConfig;
  spec: StageSpec & { store: string };
  /** What the job gets in its environment, where no log, state or process list shows it. */
  environment?: Record<string, string>;
}

/** The builder machine as ssh and problems name it. */
export function builderMachine(config: SshBuilderConfig): Machine {
  return { ...config, name: "builder" };
}
