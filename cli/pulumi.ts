import type { FleetOutputs } from "../infra/fleet/table.ts";
import { awaitHosts } from "./await-hosts.ts";
import { runPulumi, stackOutputs } from "./run-pulumi.ts";
import { bootstrapOnce, selectedStack } from "./stack.ts";

/** `./pipress pulumi ARGS`: pulumi with the engine, state and environment that bootstrap set up. */
export async function pulumi(args: readonly string[]): Promise<number> {
  await bootstrapOnce();
  return runPulumi(args);
}

/**
 * `./pipress up` and the other operations on a stack.
 * @param args operation and options of pulumi
 * @param isStackNamed whether they name a stack; else one must be selected, because pulumi would ask or fail in other words
 */
export async function operate(args: readonly string[], isStackNamed: boolean): Promise<number> {
  const named = args[args.indexOf("--stack") + 1] ?? "";
  const stack = isStackNamed ? await bootstrapOnce().then(() => named) : await selectedStack();
  const code = await runPulumi(args);
  if (code === 0 && args[0] === "up") await awaitHosts(await stackOutputs<Partial<FleetOutputs>>(stack));
  return code;
}
