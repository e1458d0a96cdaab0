import { expect, test } from "vitest";
import { endpointSchema } from "../config/host-schema.ts";
import type { Host } from "./host.ts";
import { endpointHost, endpointPorts } from "./endpoint.ts";

const fleet = [{ name: "pi-0", server: { port: 8080 }, isVirtual: true }] as unknown as Host[];

test("the endpoint needs a host of the fleet by its name, and a port of its own there", () => {
  expect(() => endpointHost(endpointSchema.parse({ host: "pi-9" }), fleet)).toThrow(
    'the fleet has no host "pi-9"',
  );
  expect(() => endpointHost(endpointSchema.parse({ host: "pi-0", port: 8080 }), fleet)).toThrow(
    "llama-server listens on port 8080 of pi-0 already",
  );
});

test("a host that is not one of the fleet is reached as it is described", () => {
  const host = { name: "gate", address: "10.0.0.1", hostKey: "ssh-ed25519 AAAA", privateKeyFile: "/k" };
  expect(endpointHost(endpointSchema.parse({ host }), fleet).connection).toEqual({
    ...host,
    port: 22,
    user: "pi",
  });
});

test("agents listen on every host, the load balancer on its own", () => {
  const config = endpointSchema.parse({ host: "pi-0" });
  expect(endpointPorts(config, "pi-0")).toEqual({ agent: 9111, endpoint: 8000 });
  expect(endpointPorts(config, "pi-1")).toEqual({ agent: 9111 });
  expect(endpointPorts(undefined, "pi-0")).toEqual({});
});
