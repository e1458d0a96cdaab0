import pLimit from "p-limit";
import { z } from "zod";
import { hostSchema } from "./host-schema.ts";
import type { PlacedHost } from "./hosts.ts";
import type { Problem } from "../../common/user-error.ts";

const groupSchema = z.looseObject({
  hosts: z.array(z.string()).default([]),
  children: z.array(z.string()).default([]),
});

/** What `ansible-inventory --list` prints: groups by name, and every host's variables with its groups' merged in. */
const listingSchema = z
  .looseObject({
    _meta: z.looseObject({ hostvars: z.record(z.string(), z.record(z.string(), z.unknown())) }),
  })
  .transform(({ _meta, ...groups }) => ({
    hostvars: _meta.hostvars,
    groups: Object.entries(groups).flatMap(([name, group]) => {
      const parsed = groupSchema.safeParse(group);
      return parsed.success ? [{ name, hosts: parsed.data.hosts }] : [];
    }),
  }));

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
  group: ["pipress_group"],
  build: ["pipress_build"],
  unreachable: ["pipress_unreachable"],
  labels: ["pipress_labels"],
  server: ["pipress_server"],
};

/** Variables under which Ansible would connect in a way that pipress does not; left out silently, the host would not answer. */
const refused: Record<string, string> = {
  ansible_password: "use a key: set ansible_ssh_private_key_file, or an agent",
  ansible_ssh_pass: "use a key: set ansible_ssh_private_key_file, or an agent",
  ansible_become_password: "let the user use sudo without a password",
  ansible_become_pass: "let the user use sudo without a password",
};
const sshArguments = ["ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"];

/**
 * The hosts of an inventory as if they stood under `hosts`.
 * @param file how problems name the inventory
 * @param configured groups that have settings in the stack's configuration
 * @param knownKey the host key that known_hosts has for an address, asked for hosts without `pipress_host_key`
 */
export async function hostsOfInventory(
  { hostvars, groups }: InventoryListing,
  file: string,
  configured: readonly string[],
  knownKey: (address: string, port: number) => Promise<string | undefined>,
): Promise<{ hosts: PlacedHost[]; problems: Problem[] }> {
  const hosts: PlacedHost[] = [];
  const problems: Problem[] = [];
  const names = [...new Set(groups.flatMap((group) => group.hosts))];
  const limit = pLimit(8);
  const mappings = names.map((name) => {
    const vars = hostvars[name] ?? {};
    const member = groups.filter((group) => group.hosts.includes(name)).map((group) => group.name);
    return limit(async () => ({
      ...{ name, vars },
      mapped: await settingsOf(name, vars, member, configured, knownKey),
    }));
  });
  for (const { name, vars, mapped } of await Promise.all(mappings)) {
    const where = `${file}: ${name}`;
    const own = [...unusable(vars), ...mapped.problems].map((problem) => ({
      ...problem,
      where: [where, problem.where].filter(Boolean).join("."),
    }));
    const parsed = hostSchema.safeParse(mapped.settings);
    if (parsed.success && own.length === 0) hosts.push({ where, host: parsed.data });
    // One problem is enough for one variable.
    const issues = (parsed.error?.issues ?? []).flatMap((issue) => explain(issue, where));
    problems.push(...own, ...issues.filter((issue) => !own.some((problem) => problem.where === issue.where)));
  }
  if (names.length === 0) problems.push({ where: file, what: "the inventory names no host" });
  return { hosts, problems };
}

interface Mapped {
  settings: Record<string, unknown>;
  problems: Problem[];
}

async function settingsOf(
  name: string,
  vars: Record<string, unknown>,
  groups: readonly string[],
  configured: readonly string[],
  knownKey: (address: string, port: number) => Promise<string | undefined>,
): Promise<Mapped> {
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

function unusable(vars: Record<string, unknown>): Problem[] {
  const problems: Problem[] = [];
  const connection = vars.ansible_connection;
  if (connection !== undefined && connection !== "ssh" && connection !== "smart")
    problems.push({
      where: "ansible_connection",
      what: `is ${JSON.stringify(connection)}`,
      remedy: "pipress reaches hosts over ssh",
    });
  for (const [variable, remedy] of Object.entries(refused))
    if (vars[variable] !== undefined)
      problems.push({ where: variable, what: "passwords are not used", remedy });
  for (const variable of sshArguments)
    if (vars[variable] !== undefined && vars[variable] !== "")
      problems.push({
        where: variable,
        what: "arguments of ssh are not taken over",
        remedy: "for a jump host set pipress_bastion to a map of address, user, hostKey and privateKeyFile",
      });
  for (const variable of [...Object.values(variables).flat()])
    if (JSON.stringify(vars[variable] ?? "").includes("{{"))
      problems.push({
        where: variable,
        what: "holds a template, which ansible-inventory does not resolve",
        remedy: "write the value itself",
      });
  return problems;
}

/** A problem of a setting, by the variable that the user wrote. */
function explain(issue: z.core.$ZodIssue, where: string): Problem[] {
  const [key = "name", ...rest] = issue.path.map(String);
  const variable = variables[key]?.[0] ?? key;
  const path = [where, variable === "name" ? undefined : variable, ...rest].filter(Boolean).join(".");
  if (issue.code !== "unrecognized_keys") return [{ where: path, what: issue.message }];
  const messages = issue.message.split("\n");
  return issue.keys.map((unknown, index) => ({
    where: `${path}.${unknown}`,
    what: messages[index] ?? "unknown key",
  }));
}
