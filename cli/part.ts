import { UserError } from "../common/user-error.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import { chooseHosts } from "../infra/fleet/choose-hosts.ts";
import { renamedHosts } from "../infra/fleet/owner.ts";
import { exceptPart, partVariable } from "../infra/fleet/rollout/part.ts";
import { allStages } from "../infra/fleet/serving.ts";
import { openStore } from "../infra/store/open-store.ts";
import { readStackState } from "./stack-state.ts";
import { hostsOf, openStack, servingsOf, type StackOptions } from "./stack.ts";

/** What an operation on a part of a fleet is started with. */
export interface ChosenPart {
  /** Their names. */
  hosts: string[];
  /** Options of pulumi by which it leaves everything else as it is. */
  options: string[];
  /** Environment by which the program knows of it. */
  variables: Record<string, string>;
}

/**
 * The part of a stack's fleet that `--hosts` names.
 * @param names of hosts, groups and labels
 * @throws UserError with every name that is none
 */
export async function choosePart(names: readonly string[], options: StackOptions): Promise<ChosenPart> {
  const { fullName, config } = await openStack(options);
  const fleet = await hostsOf(config);
  const chosen = chooseAll(fleet, names);
  const servings = await servingsOf(config, chosen, await openStore(config.store));
  const hosts = chosen.map(({ name }) => name);
  const stages = allStages(servings).map(({ name }) => name);
  const { urns, hosts: before } = await readStackState(fullName);
  // A host that has another name now is in the state under its former one.
  const renamed = renamedHosts(
    fleet.map((host) => ("machine" in host ? host.machine : host)),
    before,
  );
  const former = hosts.flatMap((name) => renamed.get(name) ?? []);
  const prefixes = servings.map(({ prefix }) => prefix);
  return {
    hosts,
    options: exceptPart(urns, { hosts: [...hosts, ...former], stages, prefixes }),
    variables: { [partVariable]: JSON.stringify(hosts) },
  };
}

/** Exported for tests: in the order of the fleet, each once. */
export function chooseAll(fleet: readonly HostConfig[], names: readonly string[]): HostConfig[] {
  const problems: UserError["problems"][number][] = [];
  const chosen = names.flatMap((name) => {
    try {
      return chooseHosts(fleet, name);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      problems.push(...error.problems);
      return [];
    }
  });
  if (problems.length > 0) throw new UserError(problems);
  return fleet.filter((host) => chosen.includes(host));
}
