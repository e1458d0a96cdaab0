/**
 * The process that a stage's command runs here: submits the stage on the box, follows it, and prints its result. It connects
 * again for as long as the connection is lost; the job on the box does not mind.
 */
import { text } from "node:stream/consumers";
import { UserError } from "../../../common/user-error.ts";
import { Session } from "../../ssh/session.ts";
import { openStore } from "../../store/open-store.ts";
import type { JobResult } from "../../stage/job.ts";
import { follow } from "./follow.ts";
import { builderMachine, type BoxJob } from "./box.ts";
import { packSource } from "./source.ts";

/** Prints the result document; returns the exit status. */
async function main(): Promise<number> {
  const job = JSON.parse(await text(process.stdin)) as BoxJob;
  const { name, key } = job.spec;
  const interrupted = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      interrupted.abort();
    });
  const store = await openStore(job.spec.store);
  const manifest = await store.manifest(key);
  if (manifest !== undefined) {
    // A key that is in the store needs no box.
    const { stage, run, files, metrics, seconds } = manifest;
    return print({ key, stage, run, files, metrics, seconds, artifact: store.locate(key) });
  }
  const session = await Session.open(builderMachine(job.box));
  try {
    const { HF_TOKEN } = process.env;
    const environment: Record<string, string> = HF_TOKEN === undefined ? {} : { HF_TOKEN };
    const { code, stdout } = await follow({ ...job, environment }, session, packSource(), {
      signal: interrupted.signal,
      say: (line) => {
        console.error(line);
      },
    });
    process.stdout.write(stdout === "" ? "" : `${stdout}\n`);
    return code;
  } catch (error) {
    if (interrupted.signal.aborted) {
      console.error(
        `${name} goes on without you on ${job.box.address}. To pick it up, run the same command again`,
      );
      return 130;
    }
    throw error;
  } finally {
    await session.close();
  }
}

function print(result: JobResult & { stage: string; artifact: string }): number {
  console.log(JSON.stringify(result));
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof UserError ? error.message : error);
}
