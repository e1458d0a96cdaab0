import { setTimeout as sleep } from "node:timers/promises";
import type { JobQueues } from "../infra/builder/aws/job-queues.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import { instanceFor } from "../infra/stage/instance-for.ts";
import { UserError } from "../common/user-error.ts";
import { allStages } from "../infra/fleet/serving.ts";
import { parseJobs } from "../infra/fleet/status.ts";
import { openStore } from "../infra/store/open-store.ts";
import { openJobQueues, runJobs } from "./jobs.ts";
import { showJournal } from "./ssh.ts";
import { hostsOf, openStack, servingsOf, type StackOptions } from "./stack.ts";

/** An instance uploads its job's log every twenty seconds. */
const FOLLOW_MS = 5000;

/**
 * `./pipress logs HOST`: what its llama-server writes. `./pipress logs STAGE`: a stage's log, followed while its job is at work,
 * wherever that is.
 */
export async function logs(name: string, options: StackOptions & { follow?: true }): Promise<number> {
  const stack = await openStack(options);
  const hosts = await hostsOf(stack.config);
  const host = hosts.find((other) => other.name === name);
  if (host !== undefined) return showJournal(stack.fullName, host, options.follow === true);
  return stageLog(name, stack, hosts);
}

async function stageLog(
  stageName: string,
  stack: Awaited<ReturnType<typeof openStack>>,
  hosts: readonly HostConfig[],
): Promise<number> {
  const { config } = stack;
  const store = await openStore(config.store);
  const stages = allStages(await servingsOf(config, hosts, store));
  const stage = stages.find(({ name }) => name === stageName);
  if (stage === undefined)
    throw new UserError({
      where: "logs",
      what: `the stack has no host and no stage "${stageName}"`,
      remedy: `one of: ${[...hosts, ...stages].map(({ name }) => name).join(", ")}`,
    });
  const { name, key } = stage;
  if (config.builder?.aws !== undefined && instanceFor(stage) !== undefined)
    return followQueue(await openJobQueues(stack), name, key);
  const jobs = parseJobs((await runJobs(config, ["ls"], false)).stdout);
  if (!jobs.has(key.slice(0, 12)))
    throw noLog(name, `it has not run on ${config.builder?.ssh?.address ?? "this machine"}`);
  return (await runJobs(config, ["logs", "--follow", key], true)).code;
}

/** Prints a log as its instance uploads it, for as long as the job is in its queue. */
async function followQueue(queues: JobQueues, name: string, key: string): Promise<number> {
  let shown = 0;
  for (;;) {
    const isWanted = (await queues.runs()).has(key);
    const text = await queues.log(key);
    if (text === undefined && !isWanted) throw noLog(name, "it has not run on an instance of this stack");
    process.stdout.write(text?.slice(shown) ?? "");
    shown = text?.length ?? 0;
    if (!isWanted) return 0;
    await sleep(FOLLOW_MS);
  }
}

function noLog(stage: string, why: string): UserError {
  return new UserError({
    where: "logs",
    what: `${stage} has no log: ${why}`,
    remedy: "`./pipress up` runs what is not in the store yet; `./pipress status` shows what is",
  });
}
