import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import writeFileAtomic from "write-file-atomic";
import type { HostConfig } from "../infra/config/hosts.ts";
import { UserError } from "../common/user-error.ts";
import { hostAndPort } from "../infra/ssh/address.ts";
import { buildDashboard } from "../infra/fleet/dashboard.ts";
import { buildScrapeConfig, nodePort, type ScrapeTarget } from "../infra/fleet/prometheus.ts";
import { readHere } from "../infra/virtual-pi/resource.ts";
import { stackOutputs } from "./run-pulumi.ts";
import { readStackState } from "./stack-state.ts";
import { hostsOf, openStack, type StackOptions } from "./stack.ts";

/** `./pipress metrics FOLDER`: writes what Prometheus and Grafana need to watch the fleet. */
export async function metrics(path: string, options: StackOptions): Promise<number> {
  const { fullName, config } = await openStack(options);
  const hosts = await hostsOf(config);
  const { apiKey } = await stackOutputs<{ apiKey?: string }>(fullName, "--show-secrets");
  if (apiKey === undefined)
    throw new UserError({
      where: "metrics",
      what: "the stack has no API key yet",
      remedy: "run `./pipress up` first",
    });
  const folder = resolve(path);
  mkdirSync(folder, { recursive: true });
  const keyFile = join(folder, "api-key");
  const { virtualPis } = await readStackState(fullName);
  const targets = await Promise.all(hosts.map((host) => targetOf(host, virtualPis, config.monitoring)));
  // Made anew: a file that is there keeps its mode.
  writeFileAtomic.sync(keyFile, apiKey, { mode: 0o600 });
  writeFileSync(join(folder, "prometheus.yml"), buildScrapeConfig(targets, keyFile));
  writeFileSync(join(folder, "grafana-dashboard.json"), `${JSON.stringify(buildDashboard(), null, 2)}\n`);
  console.log(`prometheus --config.file=${join(folder, "prometheus.yml")}   # hosts: ${hosts.length}`);
  console.log(`import ${join(folder, "grafana-dashboard.json")} in Grafana`);
  return 0;
}

async function targetOf(
  host: HostConfig,
  virtualPis: ReadonlyMap<string, string>,
  monitoring: boolean,
): Promise<ScrapeTarget> {
  const { name, group, labels } = host;
  const common = { name, labels, ...(group !== undefined && { group }) };
  if (!("virtual" in host)) {
    const node = monitoring ? { node: hostAndPort(host.machine.address, nodePort) } : {};
    return { ...common, server: hostAndPort(host.machine.address, host.server.port), ...node };
  }
  const { address, ports } = await readHere(name, virtualPis.get(name));
  return {
    ...common,
    server: `${address}:${ports.http}`,
    ...(monitoring && ports.node !== undefined && { node: `${address}:${ports.node}` }),
  };
}
