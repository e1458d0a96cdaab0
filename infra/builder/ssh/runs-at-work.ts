import type { SshBuilderConfig } from "../../config/schema.ts";
import { Session } from "../../ssh/session.ts";
import type { JobSpec } from "../../stage/job.ts";
import { builderMachine } from "./machine.ts";
import { printSpecs } from "./remote.ts";

/** A preview does not wait long for a builder machine that is switched off. */
const timeoutMs = 15_000;

/** The runs at work on the builder machine, by key. A builder machine that does not answer has none that anybody knows of. */
export async function runsAtWork(config: SshBuilderConfig): Promise<ReadonlyMap<string, string>> {
  const options = { signal: AbortSignal.timeout(timeoutMs), quiet: true };
  const ending = await Session.use(builderMachine(config), (session) =>
    session.run(printSpecs(config), "", options),
  );
  return ending.kind === "ended" ? parseSpecs(ending.stdout) : new Map();
}

/** Key and run of every line that is a spec; a file that was being written is no spec. */
function parseSpecs(lines: string): Map<string, string> {
  const runs = new Map<string, string>();
  for (const line of lines.split("\n")) {
    try {
      const { key, run } = JSON.parse(line) as Partial<JobSpec>;
      if (key !== undefined && run !== undefined) runs.set(key, run);
    } catch {
      // not one
    }
  }
  return runs;
}
