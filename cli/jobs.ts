import { join } from "node:path";
import { execa } from "execa";
import { lookAtJobs } from "../infra/builder/ssh/remote.ts";
import { Session } from "../infra/ssh/session.ts";
import { JobQueues } from "../infra/builder/aws/job-queues.ts";
import { sharedName } from "../infra/builder/aws/names.ts";
import { builderMachine } from "../infra/builder/ssh/machine.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { pythonEnvironment } from "../toolchain/bootstrap/python.ts";
import { readStackState } from "./stack-state.ts";
import { openStack, type Stack, type StackOptions } from "./stack.ts";

/** `./pipress jobs ls`: the jobs of stages where the stack's stages run. */
export function list(options: StackOptions): Promise<number> {
  return jobs(options, "ls");
}

/** `./pipress jobs logs NAME`. */
export function log(name: string, options: StackOptions & { follow?: true }): Promise<number> {
  return jobs(options, "logs", name, ...(options.follow ? ["--follow"] : []));
}

/** `./pipress jobs stop NAME`. */
export function stop(name: string, options: StackOptions): Promise<number> {
  return jobs(options, "stop", name);
}

async function jobs(options: StackOptions, ...args: string[]): Promise<number> {
  const { config } = await openStack(options);
  return (await runJobs(config, args, true)).code;
}

/** The job queues of a stack's EC2 instances. */
export async function openJobQueues({ fullName, name, config }: Stack): Promise<JobQueues> {
  const { S3Store } = await import("../infra/store/s3-store.ts"); // the AWS SDK takes half a second to load
  const { stackId } = await readStackState(fullName);
  return new JobQueues(new S3Store(config.store ?? ""), sharedName(name, stackId));
}

/**
 * Runs `python -m pipress jobs ARGS` where the stack's stages run.
 * @param show whether its output goes to this terminal instead of being returned
 * @throws UserError when a builder machine cannot be reached
 */
export async function runJobs(
  { builder }: StackConfig,
  args: readonly string[],
  show: boolean,
): Promise<{ code: number; stdout: string }> {
  if (builder?.ssh === undefined) {
    const { python } = pythonEnvironment(cacheDir());
    const job = await execa(python, ["-m", "pipress", "jobs", ...args], {
      reject: false,
      stdio: ["ignore", show ? "inherit" : "pipe", "inherit"],
      env: { PYTHONPATH: join(repoRoot, "models") },
    });
    return { code: job.exitCode ?? 1, stdout: job.stdout ?? "" };
  }
  const { ssh } = builder;
  const ending = await Session.use(builderMachine(ssh), (session) =>
    session.run(lookAtJobs(ssh, args), "", { show, quiet: !show }),
  );
  if (ending.kind === "lost") throw ending.failure;
  return ending;
}
