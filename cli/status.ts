import { UserError } from "../common/user-error.ts";
import { planStack } from "../infra/fleet/system-prompts.ts";
import { describeModel, loadModel } from "../infra/model/model.ts";
import type { Report } from "../infra/fleet/report.ts";
import { formatStatus, parseJobs } from "../infra/fleet/status.ts";
import { openStore } from "../infra/store/open-store.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import { openJobQueues, runJobs } from "./jobs.ts";
import { stackOutputs } from "./run-pulumi.ts";
import { openStack, type StackOptions } from "./stack.ts";

/** `./pipress status`: stages, jobs, hosts and what was spent, from the store, the builder and the state. */
export async function status(options: StackOptions): Promise<number> {
  const stack = await openStack(options);
  const { fullName, name, config } = stack;
  const model = loadModel(config);
  const store = await openStore(config.store);
  const queues = config.builder?.aws && (await openJobQueues(stack));
  const [stages, jobs, report, instances] = await Promise.all([
    planStack({ config, model, store, toolchain: readToolchain() }),
    queues === undefined ? jobsOf(config) : byShortKey(await queues.lines()),
    lastReport(fullName),
    queues?.instances(),
  ]);
  const { ssh, aws } = config.builder ?? {};
  const builder = ssh?.address ?? (aws ? `EC2 instances in ${aws.region}` : "this machine");
  console.log(
    formatStatus({
      stack: name,
      model: describeModel(model),
      store: store.url,
      builder,
      stages,
      jobs,
      report,
      instances,
    }),
  );
  return 0;
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

/** The report of the last `up`; a stack that has none, or is not there yet, has no hosts to show. */
async function lastReport(stack: string): Promise<Report | undefined> {
  try {
    const outputs = await stackOutputs<{ report?: Report }>(stack);
    return outputs.report;
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    if (!error.message.includes("no stack named")) console.error(error.message); // e.g. another passphrase
    return undefined;
  }
}
