import type { HostAccess, PlayHost } from "../../ssh/host.ts";
import type { StageSpec } from "../../stage/job.ts";

/** A machine reached over SSH as a builder, and its folder for everything of ours. */
export interface BuilderMachine extends HostAccess {
  /** Folder on the builder machine for everything of ours; without it, the folders that `common/paths.ts` names. */
  folder?: string | undefined;
}

/** A stage for a builder machine, which adds its folders and tools to the spec. */
export interface MachineJob {
  machine: BuilderMachine;
  spec: StageSpec & { store: string };
  /** What the job gets in its environment, where no log, state or process list shows it. */
  environment?: Record<string, string>;
}

/** Name of the builder machine in ssh's configuration and in errors. */
const alias = "builder";

/** The builder machine as a host that `sshConfig` and `explainSshFailure` know. */
export function hostOf({
  address,
  port,
  user,
  hostKey,
  privateKeyFile,
  agentSocket,
}: BuilderMachine): PlayHost {
  return {
    name: alias,
    address,
    port,
    user,
    hostKey,
    ...(privateKeyFile !== undefined && { privateKeyFile }),
    ...(agentSocket !== undefined && { agentSocket }),
  };
}
