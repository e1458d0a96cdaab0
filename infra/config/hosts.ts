import type { z } from "zod";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { Model } from "../model/model.ts";
import type { Machine } from "../ssh/machine.ts";
import { defaultUser, type virtualHost, type WrittenHost } from "./host-schema.ts";
import { didYouMean } from "../../common/nearest.ts";
import type { StackConfig } from "./schema.ts";
import { resolveServer, type ServerSettings } from "./server-settings.ts";

/** What every host has once group, stack and recipe have filled in what its own entry leaves open. */
export interface Settings {
  name: string;
  group?: string;
  labels: Record<string, string>;
  build: "prebuilt" | "onDevice";
  unreachable: "skip" | "fail";
  takeOver: boolean;
  /** Whether the rollout may change the kernel's command line, and reboot. */
  prepare: boolean;
  server: ServerSettings;
  /** What `sudo` asks its user for; a secret. */
  sudoPassword?: string;
  /** Where the host is written down, e.g. `pipress:hosts[1]` or `inventory.ini: pi-1`. */
  where: string;
}

/** A virtual host, with memory and disk in bytes, or a real one and how it is reached. */
export type HostConfig = Settings & (Pick<z.infer<typeof virtualHost>, "virtual"> | { machine: Machine });

/** Which model the hosts of a group, or of none, serve. */
export type ModelOf = (host: { group?: string | undefined }) => Pick<Model, "server">;

/** A host with the place where it is written down, e.g. `pipress:hosts[1]` or `inventory.ini: pi-1`. */
export interface PlacedHost {
  where: string;
  host: WrittenHost;
}

/**
 * The fleet: each host's own settings over those of its group, over those of the stack, over the model's.
 * @throws UserError with every name or address used twice, every group that nobody is in, and a label that nobody has
 */
export function resolveHosts(
  placed: readonly PlacedHost[],
  config: StackConfig,
  modelOf: ModelOf,
): HostConfig[] {
  const hosts = placed.map((entry) => resolveHost(entry, config, modelOf));
  const problems = [
    ...repeatedNames(placed),
    ...repeatedBoards(hosts),
    ...unusedGroups(placed, config),
    ...unknownLabel(hosts, config),
  ];
  if (problems.length > 0) throw new UserError(problems);
  return hosts;
}

function resolveHost({ host, where }: PlacedHost, config: StackConfig, modelOf: ModelOf): HostConfig {
  const group = (host.group === undefined ? undefined : config.groups[host.group]) ?? {};
  const build = host.build ?? group.build ?? "prebuilt";
  // Its llama.cpp has none of our kernels, with which guesses are cheap.
  const ofBuild = build === "onDevice" ? { speculation: "none" as const } : {};
  const settings: Settings = {
    name: host.name,
    group: host.group,
    labels: { ...group.labels, ...host.labels },
    build,
    unreachable: host.unreachable ?? group.unreachable ?? config.rollout.unreachable,
    takeOver: host.takeOver ?? group.takeOver ?? config.takeOver,
    prepare: host.prepare ?? group.prepare ?? config.prepareHosts,
    server: resolveServer(modelOf(host).server, ofBuild, config.server, group.server, host.server),
    where,
  };
  if ("virtual" in host) return { ...settings, virtual: host.virtual };
  // File and socket are one setting: a host's agent must not lose against its group's file.
  const hasKey = host.privateKeyFile !== undefined || host.agentSocket !== undefined;
  const { privateKeyFile, agentSocket } = hasKey ? host : group;
  const machine = {
    name: host.name,
    address: host.address,
    port: host.port ?? group.port ?? 22,
    user: host.user ?? group.user ?? defaultUser,
    hostKey: host.hostKey,
    privateKeyFile,
    agentSocket,
    bastion: host.bastion ?? group.bastion,
  };
  const sudoPassword = host.sudoPassword ?? group.sudoPassword ?? config.sudoPassword;
  return { ...settings, ...(sudoPassword !== undefined && { sudoPassword }), machine };
}

function repeatedNames(placed: readonly PlacedHost[]): Problem[] {
  return placed.flatMap(({ where, host: { name } }, index) => {
    const first = placed.find(({ host }) => host.name === name);
    if (first === undefined || placed.indexOf(first) === index) return [];
    return [
      { where: `${where}.name`, what: `"${name}" is used twice`, remedy: `the other is ${first.where}` },
    ];
  });
}

/**
 * Two names for one board would take turns at switching it. Behind a bastion, or another port, an address may be another
 * board's; a host key is not.
 */
function repeatedBoards(hosts: readonly HostConfig[]): Problem[] {
  const byAddress = new Map<string, HostConfig>();
  const byKey = new Map<string, HostConfig>();
  return hosts.flatMap((host) => {
    if (!("machine" in host)) return [];
    const { address, port, bastion, hostKey } = host.machine;
    const sameAddress = firstOf(
      byAddress,
      JSON.stringify([address.toLowerCase(), port, bastion?.address]),
      host,
    );
    const sameKey = firstOf(byKey, hostKey, host);
    if (sameAddress !== undefined) {
      const what = `${address} is the address of "${sameAddress.name}" too`;
      return [{ where: `${host.where}.address`, what, remedy: `the other is ${sameAddress.where}` }];
    }
    if (sameKey === undefined) return [];
    const what = `"${sameKey.name}" has the same host key: both are one board, or one's card is a copy of the other's`;
    const remedy = `remove one of them (the other is ${sameKey.where}), or give the copy keys of its own: \`sudo rm /etc/ssh/ssh_host_*; sudo ssh-keygen -A; sudo reboot\` there`;
    return [{ where: `${host.where}.hostKey`, what, remedy }];
  });
}

/** The host that was seen under a key before, if it has another name; the first one is remembered. */
function firstOf(seen: Map<string, HostConfig>, key: string, host: HostConfig): HostConfig | undefined {
  const first = seen.get(key);
  if (first === undefined) seen.set(key, host);
  return first?.name === host.name ? undefined : first;
}

/** A label that no host has orders nothing: it is a misspelt one. */
function unknownLabel(hosts: readonly HostConfig[], { rollout: { orderBy } }: StackConfig): Problem[] {
  if (orderBy === undefined || hosts.length === 0) return [];
  const labels = [...new Set(hosts.flatMap((host) => Object.keys(host.labels)))];
  if (labels.includes(orderBy)) return [];
  const remedy = didYouMean(orderBy, labels) ?? "give it to the hosts under `labels`, or leave `orderBy` out";
  return [{ where: "pipress:rollout.orderBy", what: `no host has the label "${orderBy}"`, remedy }];
}

/** A group with settings and without hosts is a misspelt one. */
function unusedGroups(placed: readonly PlacedHost[], { groups }: StackConfig): Problem[] {
  const used = [...new Set(placed.flatMap(({ host }) => host.group ?? []))];
  return Object.keys(groups)
    .filter((name) => !used.includes(name))
    .map((name) => ({
      where: `pipress:groups.${name}`,
      what: "no host is in this group",
      remedy: didYouMean(name, used) ?? "name it at a host, or remove it",
    }));
}
