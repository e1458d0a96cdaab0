import { setTimeout as sleep } from "node:timers/promises";
import { UserError } from "../common/user-error.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import { reach } from "../infra/fleet/choose-hosts.ts";
import { lookAtHost, type HostState, type NoState } from "../infra/fleet/host-state.ts";
import { allStages } from "../infra/fleet/serving.ts";
import { describeModel } from "../infra/model/model.ts";
import type { Report } from "../infra/fleet/report.ts";
import { formatHosts, formatStatus, parseJobs } from "../infra/fleet/status.ts";
import { openStore } from "../infra/store/open-store.ts";
import { Interrupts } from "./interrupts.ts";
import { openJobQueues, runJobs } from "./jobs.ts";
import { stackOutputs } from "./run-pulumi.ts";
import { hostsOf, openStack, servingsOf, type StackOptions } from "./stack.ts";
import { readStackState } from "./stack-state.ts";

/** Between two looks at the hosts. */
const WATCH_MS = 5000;

/** What `up` has left of a stack that serves. */
interface Served {
  report?: Report;
  apiKey?: string;
  baseUrls?: Record<string, string>;
}

/**
 * `./pipress status`: stages, jobs, hosts and what was spent, from the store, the builder, the state and the hosts themselves.
 * With `watch` the hosts are asked again every few seconds, until Ctrl-C.
 */
export async function status(options: StackOptions & { watch?: true }): Promise<number> {
  const stack = await openStack(options);
  const { name, config } = stack;
  const store = await openStore(config.store);
  const queues = config.builder?.aws && (await openJobQueues(stack));
  const served = await lastServed(stack.fullName);
  const fleet = await hostsOf(config);
  const { virtualPis } = await readStackState(stack.fullName);
  const look = () => statesOf(fleet, virtualPis, served);
  const [servings, jobs, states, instances] = await Promise.all([
    servingsOf(config, fleet, store),
    queues === undefined ? jobsOf(config) : byShortKey(await queues.lines()),
    served.report && look(),
    queues?.instances(),
  ]);
  const { ssh, aws } = config.builder ?? {};
  const builder = ssh?.address ?? (aws ? `EC2 instances in ${aws.region}` : "this machine");
  console.log(
    formatStatus({
      stack: name,
      model: servings.map(({ model }) => describeModel(model)).join(", "),
      store: store.url,
      builder,
      stages: allStages(servings),
      jobs,
      states,
      report: served.report,
      instances,
    }),
  );
  if (options.watch && served.report !== undefined) await watch(served.report, look);
  return 0;
}

async function watch(report: Report, look: () => ReturnType<typeof statesOf>): Promise<void> {
  const signal = new Interrupts().next();
  while (!signal.aborted) {
    await sleep(WATCH_MS, undefined, { signal }).catch(() => undefined);
    if (signal.aborted) return;
    const table = formatHosts(report, await look());
    // At a terminal the table stands where it stood.
    const clear = process.stdout.isTTY ? "\u001b[2J\u001b[H" : "";
    console.log(`${clear}${new Date().toTimeString().slice(0, 8)}, until Ctrl-C\n\n${table}`);
  }
}

/** What every host says now, by name; all are asked at the same time. */
async function statesOf(
  fleet: readonly HostConfig[],
  virtualPis: ReadonlyMap<string, string>,
  { apiKey, baseUrls = {} }: Served,
): Promise<Map<string, HostState | NoState>> {
  const looks = fleet.map(async (host): Promise<[string, HostState | NoState]> => {
    const baseUrl = baseUrls[host.name];
    const server = baseUrl !== undefined && apiKey !== undefined ? { baseUrl, apiKey } : undefined;
    const machine = await reach(host, virtualPis).catch(() => undefined); // a virtual one that is not there
    return [
      host.name,
      machine === undefined ? { problem: "is not there" } : await lookAtHost(machine, server),
    ];
  });
  return new Map(await Promise.all(looks));
}

/** By the first twelve digits of the keys, as `pipress jobs ls` names jobs. */
function byShortKey(lines: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...lines].map(([key, line]) => [key.slice(0, 12), line]));
}

async function jobsOf(config: Parameters<typeof runJobs>[0]): Promise<Map<string, string> | undefined> {
  try {
    return parseJobs((await runJobs(config, ["ls"], false)).stdout);
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/** What the last `up` left; a stack that has none, or is not there yet, has no hosts to show. */
async function lastServed(stack: string): Promise<Served> {
  try {
    return await stackOutputs<Served>(stack, "--show-secrets");
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (!error.message.includes("no stack named")) console.error(error.message); // e.g. another passphrase
    return {};
  }
}
