import { purgeVariable } from "../infra/fleet/purge.ts";
import { runPulumi } from "./run-pulumi.ts";
import { bootstrapOnce, selectedStack } from "./stack.ts";

/** `./pipress pulumi ARGS`: pulumi with the engine, state and environment that bootstrap set up. */
export async function pulumi(args: readonly string[]): Promise<number> {
  await bootstrapOnce();
  return runPulumi(args);
}

/** Our own among the options of `destroy`. */
const PURGE = "--purge";

/**
 * `./pipress up` and the other operations on a stack.
 * @param args operation and options of pulumi
 * @param isStackNamed whether they name a stack; else one must be selected, because pulumi would ask or fail in other words
 */
export async function operate(args: readonly string[], isStackNamed: boolean): Promise<number> {
  await (isStackNamed ? bootstrapOnce() : selectedStack());
  const options = args.filter((arg) => arg !== PURGE);
  return runPulumi(options, args.includes(PURGE) ? { [purgeVariable]: "true" } : {});
}
