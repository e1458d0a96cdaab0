import { BlockList, isIP } from "node:net";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { HostConfig } from "../config/hosts.ts";
import type { StackConfig } from "../config/schema.ts";
import { machineFromInside } from "../ssh/address.ts";

type Config = Pick<StackConfig, "endpoint" | "rollout">;

/** Hosts that a message names. */
const namedHosts = 3;

/** What the load balancer's address depends on, of a host: a virtual one sees this machine's side of its own network. */
export interface Located {
  name: string;
  isVirtual: boolean;
  address: string;
}

/** Address from which the load balancer reaches a host, where that is known: a name says nothing to systemd's filter. */
export function balancerAddress(
  endpoint: StackConfig["endpoint"],
  host: Pick<Located, "isVirtual">,
  fleet: readonly Located[],
): string | undefined {
  if (endpoint === undefined) return undefined;
  if (host.isVirtual) return machineFromInside;
  const balancer =
    typeof endpoint.host === "string" ? fleet.find(({ name }) => name === endpoint.host) : endpoint.host;
  return balancer !== undefined && isIP(balancer.address) > 0 ? balancer.address : undefined;
}

/**
 * Checks whom hosts let in.
 * @throws UserError with every host that would let nobody in, and every peer that could not fetch from another
 */
export function checkAllowFrom({ endpoint, rollout }: Config, fleet: readonly HostConfig[]): void {
  const located = fleet.map(locate);
  const problems = fleet.flatMap((host): Problem[] => {
    const { allowFrom } = host.server;
    if (allowFrom === undefined) return [];
    const where = `${host.where}.server.allowFrom`;
    const isUnknown = balancerAddress(endpoint, locate(host), located) === undefined;
    if (endpoint !== undefined && isUnknown && allowFrom.length === 0) {
      const what = "lets nobody in but the load balancer, whose address is a name";
      return [{ where, what, remedy: "name its IP address here, or at the load balancer's host" }];
    }
    if (!rollout.peerToPeer || !("machine" in host)) return [];
    const left = located.filter(
      ({ name, isVirtual, address }) =>
        name !== host.name && !isVirtual && isIP(address) > 0 && !isWithin(address, allowFrom),
    );
    if (left.length === 0) return [];
    const what = `${listNames(left)} cannot fetch from ${host.name}, as rollout.peerToPeer would have it`;
    return [{ where, what, remedy: "name the network of all hosts" }];
  });
  if (problems.length > 0) throw new UserError(problems);
}

/**
 * What crosses the network in clear text, API keys with it, as `preview` says it; undefined where nothing does that could be
 * helped. Hosts that are virtual are reached on this machine alone.
 */
export function describeClearText({ endpoint }: Config, fleet: readonly HostConfig[]): string | undefined {
  const open = fleet.filter((host) => "machine" in host && host.server.allowFrom === undefined);
  const lines: string[] = [];
  const isVirtual = fleet.some((host) => host.name === endpoint?.host && "virtual" in host);
  if (endpoint !== undefined && endpoint.certificate === undefined && !isVirtual)
    lines.push(
      "between clients and the endpoint — set pipress:endpoint.certificate, and clients speak TLS with it",
    );
  if (open.length > 0) {
    const remedy =
      endpoint === undefined
        ? "pipress:endpoint with a certificate gives them TLS, and pipress:server.allowFrom limits who reaches a host"
        : "`pipress:server.allowFrom: []` lets only the load balancer reach them; trust the network between";
    lines.push(`to ${listNames(open)}, which answer anybody — ${remedy}`);
  }
  if (lines.length === 0) return undefined;
  return ["API keys and prompts cross the network in clear text:", ...lines.map((line) => `  ${line}`)].join(
    "\n",
  );
}

export function locate(host: HostConfig): Located {
  const isVirtual = !("machine" in host);
  return { name: host.name, isVirtual, address: isVirtual ? "127.0.0.1" : host.machine.address };
}

function isWithin(address: string, networks: readonly string[]): boolean {
  const list = new BlockList();
  for (const network of networks) {
    const [start = "", bits] = network.split("/");
    const family = isIP(start) === 6 ? "ipv6" : "ipv4";
    if (bits === undefined) list.addAddress(start, family);
    else list.addSubnet(start, Number(bits), family);
  }
  return list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function listNames(hosts: readonly { name: string }[]): string {
  const names = hosts.slice(0, namedHosts).map(({ name }) => name);
  const more = hosts.length - names.length;
  return names.join(", ") + (more > 0 ? ` and ${more} more` : "");
}
