import { expect, test } from "vitest";
import { resolveHosts } from "../config/hosts.ts";
import { stackConfigSchema } from "../config/schema.ts";
import { hostKey } from "../ssh/testing/host-key.ts";
import { checkPorts, furtherPorts } from "./ports.ts";

const recipe = { server: { contextLength: 512, threads: 2, parallel: 1, minTokensPerSecond: 0.5 } };

function check(config: object): void {
  const hosts = [
    { name: "pi-0", virtual: {} },
    { name: "pi-1", address: "10.0.0.1", port: 2222, hostKey },
  ];
  const parsed = stackConfigSchema.parse({ recipe: "x", hosts, ...config });
  const placed = parsed.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
  checkPorts(
    parsed,
    resolveHosts(placed, parsed, () => recipe),
  );
}

test("agents listen on every host, the load balancer on its own", () => {
  const config = stackConfigSchema.parse({ recipe: "x", endpoint: { host: "pi-0" } });
  expect(furtherPorts(config, "pi-0")).toEqual({ agent: 9111, endpoint: 8000 });
  expect(furtherPorts({ ...config, monitoring: true }, "pi-1")).toEqual({ agent: 9111, node: 9100 });
  expect(furtherPorts({ ...config, endpoint: undefined }, "pi-0")).toEqual({});
});

test("services of a host listen on ports of their own", () => {
  check({ endpoint: { host: "pi-0" }, monitoring: true, rollout: { peerToPeer: true } });
  expect(() => check({ endpoint: { host: "pi-0", port: 8080 } })).toThrow(
    "pipress:hosts[0]: llama-server and the load balancer both want port 8080",
  );
  expect(() => check({ server: { port: 9100 }, monitoring: true })).toThrow(
    /hosts\[0\]: llama-server and the node exporter both want port 9100.*\n.*hosts\[1\]: llama-server/,
  );
  expect(() => check({ server: { port: 2222 } })).toThrow(
    "pipress:hosts[1]: sshd and llama-server both want port 2222",
  );
  const host = { name: "gate", address: "gate", hostKey };
  expect(() => check({ endpoint: { host, port: 22 } })).toThrow(
    "pipress:endpoint: sshd and the load balancer both want port 22",
  );
});
