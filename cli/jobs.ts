import { runJobs } from "./builder-jobs.ts";
import { openStack, type StackOptions } from "./stack.ts";

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
