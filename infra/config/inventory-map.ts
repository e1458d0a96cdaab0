import pLimit from "p-limit";
import { z } from "zod";
import { hostSchema } from "./host-schema.ts";
import type { PlacedHost } from "./hosts.ts";
import { issuePlaces } from "../../common/strict.ts";
import type { Problem } from "../../common/user-error.ts";

/** What `ansible-inventory --list` prints: groups by name, and every host's variables with its groups' merged in. */
const listingSchema = z
  .object({ _meta: z.object({ hostvars: z.record(z.string(), z.record(z.string(), z.unknown())) }) })
  .catchall(z.object({ hosts: z.array(z.string()).default([]) }));

export type InventoryListing = z.infer<typeof listingSchema>;

/** Reads the JSON text of `ansible-inventory --list`. @throws ZodError or SyntaxError where it is something else */
export function parseListing(json: string): InventoryListing {
  return listingSchema.parse(JSON.parse(json));
}

/** From which variable a host's setting comes; the first that is set wins. */
const variables: Record<string, readonly string[]> = {
  address: ["ansible_host", "ansible_ssh_host"],
  port: ["ansible_port", "ansible_ssh_port"],
  user: ["ansible_user", "ansible_ssh_user"],
  privateKeyFile: ["ansible_ssh_private_key_file", "ansible_private_key_file"],
  hostKey: ["pipress_host_key"],
  agentSocket: ["pipress_agent_socket"],
  bastion: ["pipress_bastion"],
  sudoPassword: ["ansible_become_password", "ansible_become_pass"],
  group: ["pipress_group"],
  build: ["pipress_build"],
  unreachable: ["pipress_unreachable"],
  takeOver: ["pipress_take_over"],
  prepare: ["pipress_prepare"],
  labels: ["pipress_labels"],
  server: ["pipress_server"],
};

const useKey = {
  what: "passwords are not used",
  remedy: "use a key: set ansible_ssh_private_key_file, or an agent",
};
const useBastion = {
  what: "arguments of ssh are not taken over",
  remedy: "for a jump host set pipress_bastion to a map of address, user, hostKey and privateKeyFile",
};

/** Variables under which Ansible would connect in a way that pipress does not; left out silently, the host would not answer. */
const refused = {
  ansible_password: useKey,
  ansible_ssh_pass: useKey,
  ansible_ssh_args: useBastion,
  ansible_ssh_common_args: useBastion,
  ansible_ssh_extra_args: useBastion,
};

/**
 * The hosts of an inventory as if they stood under `hosts`.
 * @param file how problems name the inventory
 * @param configured groups that have settings in the stack's configuration
 * @param knownKey the host key that known_hosts has for an address, asked for hosts without `pipress_host_key`
 */
export async function hostsOfInventory(
  { _meta: { hostvars }, ...listed }: InventoryListing,
  file: string,
  configured: readonly string[],
  knownKey: (address: string, port: number) => Promise<string | undefined>,
): Promise<{ hosts: PlacedHost[]; problems: Problem[] }> {
  const groups = Object.entries(listed);
  const names = [...new Set(groups.flatMap(([, { hosts }]) => hosts))];
  if (names.length === 0)
    return { hosts: [], problems: [{ where: file, what: "the inventory names no host" }] };
  const read = await pLimit(8).map(names, async (name) => {
    const where = `${file}: ${name}`;
    const vars = hostvars[name] ?? {};
    const member = groups.flatMap(([group, { hosts }]) => (hosts.includes(name) ? [group] : []));
    const mapped = await settingsOf(name, vars, member, configured, knownKey);
    const own = [...unusable(vars), ...mapped.problems].map((problem) => ({
      ...problem,
      where: `${where}.${problem.where}`,
    }));
    const parsed = hostSchema.safeParse(mapped.settings);
    if (parsed.success && own.length === 0) return { hosts: [{ where, host: parsed.data }], problems: [] };
    const issues = (parsed.error?.issues ?? []).flatMap(issuePlaces).map((place) => explain(place, where));
    // One problem is enough for one variable.
    const others = issues.filter((issue) => !own.some((problem) => problem.where === issue.where));
    return { hosts: [], problems: [...own, ...others] };
  });
  return { hosts: read.flatMap(({ hosts }) => hosts), problems: read.flatMap(({ problems }) => problems) };
}

async function settingsOf(
  name: string,
  vars: Record<string, unknown>,
  groups: readonly string[],
  configured: readonly string[],
  knownKey: (address: string, port: number) => Promise<string | undefined>,
): Promise<{ settings: Record<string, unknown>; problems: Problem[] }> {
  const settings: Record<string, unknown> = { name, address: name };
  for (const [key, from] of Object.entries(variables)) {
    const value = from.map((variable) => vars[variable]).find((content) => content !== undefined);
    // Files in INI form hold all numbers as numbers and may quote them.
    if (value !== undefined) settings[key] = key === "port" ? Number(value) : value;
  }
  const problems: Problem[] = [];
  const group = settings.group ?? groupOf(groups, configured);
  if (group === undefined && groups.length > 1)
    problems.push({
      where: "pipress_group",
      what: `the host is in several groups (${groups.join(", ")})`,
      remedy: "say with this variable which of them pipress shall take",
    });
  if (group !== undefined) settings.group = group;
  if (settings.hostKey === undefined) {
    const address = String(settings.address);
    const port = Number(settings.port ?? 22);
    settings.hostKey = await knownKey(address, port);
    if (settings.hostKey === undefined)
      problems.push({
        where: "pipress_host_key",
        what: `is not set, and known_hosts has no key of ${address}${port === 22 ? "" : ` port ${port}`}`,
        remedy: "read it on the host itself with `cat /etc/ssh/ssh_host_ed25519_key.pub`",
      });
  }
  return { settings, problems };
}

/** The host's one group; of several, the one that has settings. `all` and `ungrouped` are Ansible's own. */
function groupOf(groups: readonly string[], configured: readonly string[]): string | undefined {
  const own = groups.filter((name) => name !== "all" && name !== "ungrouped");
  const candidates = own.length > 1 ? own.filter((name) => configured.includes(name)) : own;
  return candidates.length === 1 ? candidates[0] : undefined;
}

/** Why pipress cannot do with a host what its variables say; each problem by its variable. */
function unusable(vars: Record<string, unknown>): Problem[] {
  const problems: Problem[] = [];
  const { ansible_connection: connection = "ssh" } = vars;
  if (connection !== "ssh" && connection !== "smart")
    problems.push({
      where: "ansible_connection",
      what: `is ${JSON.stringify(connection)}`,
      remedy: "pipress reaches hosts over ssh",
    });
  for (const [where, problem] of Object.entries(refused))
    if ((vars[where] ?? "") !== "") problems.push({ where, ...problem });
  for (const where of Object.values(variables).flat())
    if (JSON.stringify(vars[where] ?? "").includes("{{"))
      problems.push({
        where,
        what: "holds a template, which ansible-inventory does not resolve",
        remedy: "write the value itself",
      });
  return problems;
}

/** A problem of a setting, by the variable that the user wrote. */
function explain({ path, what }: ReturnType<typeof issuePlaces>[number], where: string): Problem {
  const [key = "name", ...rest] = path.map(String);
  const variable = key === "name" ? [] : [variables[key]?.[0] ?? key];
  return { where: [where, ...variable, ...rest].join("."), what };
}
