import { parseArgs } from "node:util";
import { loadFleet } from "../infra/config/fleet.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import { parseStackConfig } from "../infra/config/load.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import { UserError } from "../common/user-error.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import { pulumiJson } from "./run-pulumi.ts";

/** What a verb that works on a stack was given. */
export interface StackArguments {
  name: string;
  /** Which stack, as options of pulumi. */
  stackArgs: string[];
  /** The same for commands that read its configuration; `--config-file` is pulumi's own option for it. */
  configArgs: string[];
}

/**
 * The one argument of a verb that works on a stack, and the stack where one is named.
 * @param usage how the verb is called, e.g. `npm run rollback -- HOST|GROUP [--stack STACK]`
 */
export function readArguments(args: string[], usage: string): StackArguments {
  const options = { stack: { type: "string" as const }, "config-file": { type: "string" as const } };
  const wrong = (what: string): UserError => new UserError({ where: "arguments", what, remedy: usage });
  let parsed;
  try {
    parsed = parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw wrong((error as Error).message);
  }
  const [name, ...more] = parsed.positionals;
  if (name === undefined || more.length > 0) throw wrong("exactly one argument is needed");
  const { stack, "config-file": file } = parsed.values;
  const stackArgs = stack === undefined ? [] : ["--stack", stack];
  return {
    name,
    stackArgs,
    configArgs: [...stackArgs, ...(file === undefined ? [] : ["--config-file", file])],
  };
}

/** The configuration of a stack, the selected one unless `configArgs` name another, and its hosts. */
export async function readStack(
  configArgs: readonly string[],
): Promise<{ config: StackConfig; fleet: HostConfig[] }> {
  const shown = await pulumiJson(["config", "--json", "--show-secrets", ...configArgs]);
  const values = Object.entries(shown).map(([key, entry]) => [key, (entry as { value: string }).value]);
  const config = parseStackConfig(Object.fromEntries(values) as Record<string, string>);
  return { config, fleet: await loadFleet(config, readToolchain().ansiblePlaybook) };
}
