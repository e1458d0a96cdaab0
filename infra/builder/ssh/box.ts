import type { HostAccess, PlayHost } from "../../ssh/host.ts";
import type { JobSpec } from "../../stage/job.ts";

/** A machine as a builder: how to reach it, and where on it things may lie. */
export interface Box extends HostAccess {
  /** Folder on the box for everything of ours; without it, the folders that `common/paths.ts` names. */
  folder?: string | undefined;
}

/** What the attaching process reads on standard input; the box adds its folders and tools to the spec. */
export interface BoxJob {
  box: Box;
  spec: Omit<JobSpec, "jobs" | "tools">;
  /** What the job gets in its environment, where no log, state or process list shows it. */
  environment?: Record<string, string>;
}

/** Name of the box in ssh's configuration and in errors. */
const alias = "builder";

/** The box as a host that `sshConfig` and `explainSshFailure` know. */
export function hostOf({ address, port, user, hostKey, privateKeyFile, agentSocket }: Box): PlayHost {
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
