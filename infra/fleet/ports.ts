import type { HostConfig } from "../config/hosts.ts";
import type { StackConfig } from "../config/schema.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import { agentPort } from "./endpoint.ts";
import type { HostPort } from "./host.ts";
import { nodePort } from "./prometheus.ts";
import { peerPort } from "./rollout/peers.ts";

/** What may want a port of a host. */
const services: Record<HostPort | "server" | "ssh", string> = {
  ssh: "sshd",
  server: "llama-server",
  node: "the node exporter",
  agent: "the load balancer's agent check",
  endpoint: "the load balancer",
  peers: "the file server for peers",
};

/** What listens on a host besides sshd and llama-server. */
export function furtherPorts(
  { monitoring, rollout, endpoint }: Pick<StackConfig, "monitoring" | "rollout" | "endpoint">,
  host: string,
): Partial<Record<HostPort, number>> {
  return {
    ...(monitoring && { node: nodePort }),
    ...(rollout.peerToPeer && { peers: peerPort }),
    ...(endpoint && { agent: agentPort }),
    ...(endpoint?.host === host && { endpoint: endpoint.port }),
  };
}

/** @throws UserError with every port that two services of a host want */
export function checkPorts(config: StackConfig, fleet: readonly HostConfig[]): void {
  const problems = fleet.flatMap((host) => {
    const ssh = "machine" in host ? host.machine.port : 22;
    return collisions(host.where, { ssh, server: host.server.port, ...furtherPorts(config, host.name) });
  });
  const { endpoint } = config;
  if (typeof endpoint?.host === "object")
    problems.push(...collisions("pipress:endpoint", { ssh: endpoint.host.port, endpoint: endpoint.port }));
  if (problems.length > 0) throw new UserError(problems);
}

function collisions(where: string, ports: Partial<Record<keyof typeof services, number>>): Problem[] {
  const wanted = Object.entries(ports) as [keyof typeof services, number][];
  return wanted.flatMap(([service, port], index) => {
    const [first] = wanted.slice(0, index).find(([, taken]) => taken === port) ?? [];
    if (first === undefined) return [];
    const what = `${services[first]} and ${services[service]} both want port ${port}`;
    return [{ where, what, remedy: "give one of them another, with `server.port` or `endpoint.port`" }];
  });
}
