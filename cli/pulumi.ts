import type { FleetOutputs } from "../infra/fleet/table.ts";
import { purgeVariable } from "../infra/fleet/purge.ts";
import { ASK_SUDO_PASSWORD } from "./ask-sudo-password.ts";
import { awaitHosts } from "./await-hosts.ts";
import { ensurePassphrase } from "./ensure-passphrase.ts";
import { HOSTS } from "./command-line.ts";
import { namedStack, optionOf, takeOption } from "./pulumi-arguments.ts";
import { runPulumi, stackOutputs } from "./run-pulumi.ts";
import { bootstrapOnce, selectedStack, selectedStackIfAny } from "./stack.ts";

/** `./pipress pulumi ARGS`: pulumi with the engine, state and environment that bootstrap set up. */
export async function pulumi(args: readonly string[]): Promise<number> {
  await bootstrapOnce();
  return runWithPassphrase(args, namedStack(args) ?? (await selectedStackIfAny()));
}

/** Our own among the options of `destroy`. */
const PURGE = "--purge";

/**
 * `./pipress up` and the other operations on a stack.
 * @param args operation and options of pulumi
 * @param isStackNamed whether they name a stack; else one must be selected, because pulumi would ask or fail in other words
 */
export async function operate(args: readonly string[], isStackNamed: boolean): Promise<number> {
  const stack = isStackNamed ? namedStack(args) : await selectedStack();
  const { values: names, rest } = takeOption(args, HOSTS);
  const part = names.length > 0 ? await partOf(names, stack, rest) : undefined;
  await bootstrapOnce();
  const options = rest.filter((arg) => arg !== PURGE && arg !== ASK_SUDO_PASSWORD);
  const code = await runWithPassphrase([...options, ...(part?.options ?? [])], stack, {
    ...(args.includes(PURGE) && { [purgeVariable]: "true" }),
    ...part?.variables,
  });
  if (code === 0 && args[0] === "up" && stack !== undefined)
    await awaitHosts(await stackOutputs<Partial<FleetOutputs>>(stack), part?.hosts);
  return code;
}

/** The part of the fleet that `--hosts` names; what it is found by takes a while to load. */
async function partOf(names: readonly string[], stack: string | undefined, args: readonly string[]) {
  const { choosePart } = await import("./part.ts");
  return choosePart(names, { stack, configFile: optionOf(args, "--config-file") });
}

async function runWithPassphrase(
  args: readonly string[],
  stack: string | undefined,
  variables: Readonly<Record<string, string>> = {},
): Promise<number> {
  if (stack !== undefined) await ensurePassphrase(stack, args);
  return runPulumi(args, stack, variables);
}
