import type { SshBuilderConfig } from "../../config/schema.ts";
import { Session } from "../../ssh/session.ts";
import type { StageSpec } from "../../stage/job.ts";
import { follow } from "./follow.ts";
import { builderMachine } from "./machine.ts";
import { packSource } from "./source.ts";

/**
 * Submits the stage on the builder machine, follows it, and prints its result. It connects again for as long as the
 * connection is lost; the job does not mind.
 * @returns the exit status
 */
export async function attachOverSsh(
  machine: SshBuilderConfig,
  spec: StageSpec & { store: string },
): Promise<number> {
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      interrupted.abort();
    });
  const session = await Session.open(builderMachine(machine));
  try {
    const { HF_TOKEN } = process.env;
    const environment: Record<string, string> = HF_TOKEN === undefined ? {} : { HF_TOKEN };
    const { code, stdout } = await follow({ machine, spec, environment }, session, packSource(), {
      signal: interrupted.signal,
      log: (line) => {
        console.error(line);
      },
    });
    process.stdout.write(stdout === "" ? "" : `${stdout}\n`);
    return code;
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    console.error(
      `${spec.name} goes on without you on ${machine.address}. To pick it up, run the same command again`,
    );
    return 130;
  } finally {
    await session.close();
  }
}
