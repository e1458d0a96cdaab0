import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { HostConfig } from "../infra/config/hosts.ts";
import { UserError } from "../common/user-error.ts";
import { hostAndPort } from "../infra/ssh/address.ts";
import { buildDashboard } from "../infra/fleet/dashboard.ts";
import { buildScrapeConfig, nodePort, type ScrapeTarget } from "../infra/fleet/prometheus.ts";
import { read } from "../infra/virtual-pi/resource.ts";
import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { pulumiJson } from "./run-pulumi.ts";
import { readArguments, readStack } from "./stack-config.ts";

/** `npm run metrics -- FOLDER [--stack STACK]`: writes what Prometheus and Grafana need to watch the fleet. */
export async function main(args: string[]): Promise<number> {
  const { name, stackArgs, configArgs } = readArguments(args, "npm run metrics -- FOLDER [--stack STACK]");
  await bootstrap();
  const { config, fleet } = await readStack(configArgs);
  const { apiKey } = await pulumiJson(["stack", "output", "--json", "--show-secrets", ...stackArgs]);
  if (typeof apiKey !== "string")
    throw new UserError({
      where: "metrics",
      what: "the stack has no API key yet",
      remedy: "run `pulumi up` first",
    });
  const folder = resolve(name);
  mkdirSync(folder, { recursive: true });
  const keyFile = join(folder, "api-key");
  const targets = await Promise.all(fleet.map((host) => targetOf(host, config.monitoring)));
  writeFileSync(keyFile, apiKey, { mode: 0o600 });
  writeFileSync(join(folder, "prometheus.yml"), buildScrapeConfig(targets, keyFile));
  writeFileSync(join(folder, "grafana-dashboard.json"), `${JSON.stringify(buildDashboard(), null, 2)}\n`);
  console.log(`prometheus --config.file=${join(folder, "prometheus.yml")}   # ${fleet.length} hosts`);
  console.log(`import ${join(folder, "grafana-dashboard.json")} in Grafana`);
  return 0;
}

async function targetOf(host: HostConfig, monitoring: boolean): Promise<ScrapeTarget> {
  const { name, group, labels } = host;
  const common = { name, labels, ...(group !== undefined && { group }) };
  if (!("virtual" in host)) {
    const node = monitoring ? { node: hostAndPort(host.machine.address, nodePort) } : {};
    return { ...common, server: hostAndPort(host.machine.address, host.service.port), ...node };
  }
  const machine = await read(name);
  if (machine === undefined)
    throw new UserError({
      where: name,
      what: "there is no such virtual Pi here",
      remedy: "`pulumi up` makes it",
    });
  const { address, ports } = machine;
  return {
    ...common,
    server: `${address}:${ports.http}`,
    ...(monitoring && ports.node !== undefined && { node: `${address}:${ports.node}` }),
  };
}
