import { didYouMean } from "../../common/nearest.ts";
import { UserError } from "../../common/user-error.ts";
import type { HostConfig } from "../config/hosts.ts";
import type { Machine } from "../ssh/machine.ts";
import { readHere } from "../virtual-pi/resource.ts";

/** The host of that name, or the hosts of that group. @throws UserError where there is neither */
export function chooseHosts(fleet: readonly HostConfig[], name: string): HostConfig[] {
  const chosen = fleet.filter((host) => host.name === name);
  if (chosen.length > 0) return chosen;
  const members = fleet.filter(({ group }) => group === name);
  if (members.length > 0) return members;
  const known = [...new Set(fleet.flatMap(({ name, group = name }) => [name, group]))];
  if (known.length === 0)
    throw new UserError({ where: name, what: "the stack has no hosts", remedy: "is it the stack you mean?" });
  throw new UserError({
    where: name,
    what: "the stack has no host and no group of this name",
    remedy: didYouMean(name, known) ?? `one of: ${known.join(", ")}`,
  });
}

/** The host of that name, or the only one of that group. @throws UserError where there is none, or more than one */
export function chooseHost(fleet: readonly HostConfig[], name: string): HostConfig {
  const [host, ...others] = chooseHosts(fleet, name);
  if (host !== undefined && others.length === 0) return host;
  const names = fleet.filter(({ group }) => group === name).map((member) => member.name);
  throw new UserError({
    where: name,
    what: `is a group of ${names.length} hosts, and this is for one at a time`,
    remedy: `one of: ${names.join(", ")}`,
  });
}

/** How a host is reached: a virtual one's ports and keys are in its own folder, not in the configuration. */
export async function reach(config: HostConfig, virtualPis: ReadonlyMap<string, string>): Promise<Machine> {
  if (!("virtual" in config)) return config.machine;
  const { name } = config;
  const { address, sshPort, user, privateKeyFile, hostKey } = await readHere(name, virtualPis.get(name));
  return { name, address, port: sshPort, user, privateKeyFile, hostKey };
}
