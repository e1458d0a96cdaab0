import { didYouMean } from "../../common/nearest.ts";
import { UserError } from "../../common/user-error.ts";
import type { HostConfig } from "../config/hosts.ts";
import type { Machine } from "../ssh/machine.ts";
import { readHere } from "../virtual-pi/resource.ts";

/**
 * The host of that name, the hosts of that group, or those with that label, which is written `ring=1`.
 * @throws UserError where there is none of these
 */
export function chooseHosts(fleet: readonly HostConfig[], name: string): HostConfig[] {
  const [label = "", ...value] = name.split("=");
  const found =
    [
      fleet.filter((host) => host.name === name),
      fleet.filter(({ group }) => group === name),
      value.length === 0 ? [] : fleet.filter(({ labels }) => labels[label] === value.join("=")),
    ].find((hosts) => hosts.length > 0) ?? [];
  if (found.length > 0) return found;
  const known = [...new Set(fleet.flatMap(namesOf))];
  if (known.length === 0)
    throw new UserError({ where: name, what: "the stack has no hosts", remedy: "is it the stack you mean?" });
  throw new UserError({
    where: name === "" ? '""' : name,
    what: "the stack has no host, no group and no label of this name",
    remedy: didYouMean(name, known) ?? `one of: ${known.join(", ")}`,
  });
}

/** What a host can be chosen by. */
function namesOf({ name, group = name, labels }: HostConfig): string[] {
  return [name, group, ...Object.entries(labels).map(([label, value]) => `${label}=${value}`)];
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
