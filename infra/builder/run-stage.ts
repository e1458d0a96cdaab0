/**
 * What every stage's command runs, on this machine: prints the stage's result at once when its artifact is in the store,
 * else submits it to its builder, follows it, and prints the result then. It finds toolchain, clone, jobs and the default
 * store by itself, because the resource that it belongs to names no folder of a machine.
 */
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { dataDir, repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import type { BuilderAddress, JobResult, JobSpec, StageJob, StageSpec } from "../stage/job.ts";
import type { Manifest } from "../store/manifest.ts";
import { openStore } from "../store/open-store.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Returns the exit status. */
async function main(): Promise<number> {
  const { spec, store: name, builder } = JSON.parse(await text(process.stdin)) as StageJob;
  const store = await openStore(name);
  const manifest = await store.manifest(spec.key);
  if (manifest !== undefined) {
    console.log(JSON.stringify(resultOf(manifest)));
    return 0;
  }
  if (builder?.ssh !== undefined) {
    const { attachOverSsh } = await import("./ssh/attach.ts");
    return attachOverSsh(builder.ssh, { ...spec, store: store.url });
  }
  if (builder?.aws !== undefined) return attachOnAws(builder.aws, spec, store.url);
  const { python, llamaCpp } = readToolchain();
  const job: JobSpec = {
    ...spec,
    store: store.url,
    jobs: join(dataDir(), "jobs"),
    tools: { llamaCppBin: llamaCpp.hostBin, convertScript: llamaCpp.convertScript },
  };
  return runPython(python, ["stage", "run"], job);
}

/** The code is uploaded here, before anything asks for an instance, which fetches it at its first boot. */
async function attachOnAws(
  { stack, ...address }: NonNullable<BuilderAddress["aws"]>,
  spec: StageSpec,
  store: string,
): Promise<number> {
  const [{ JobQueues }, { packSource }, { S3Store }] = await Promise.all([
    import("./aws/job-queues.ts"),
    import("./ssh/source.ts"),
    import("../store/s3-store.ts"),
  ]);
  await new JobQueues(new S3Store(store), stack).upload(packSource());
  return runPython(readToolchain().python, ["cloud", "run"], { ...address, spec: { ...spec, store } });
}

/** Runs `python -m pipress ARGS` with `input` as JSON; a signal to this process reaches it, and its status is ours. */
function runPython(python: string, args: readonly string[], input: unknown): Promise<number> {
  const child = spawn(python, ["-m", "pipress", ...args], {
    env: { ...process.env, PYTHONPATH: join(repoRoot, "models") },
    stdio: ["pipe", "inherit", "inherit"],
  });
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.stdin.on("error", () => undefined).end(JSON.stringify(input));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}

function resultOf({ key, stage, run, files, metrics, seconds }: Manifest): JobResult & { stage: string } {
  return { key, stage, run, files, metrics, seconds };
}

try {
  process.exitCode = await main();
} catch (error) {
  process.exitCode = 1;
  console.error(error instanceof UserError ? error.message : error);
}
