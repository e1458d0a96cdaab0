import { expect, test } from "vitest";
import { endpointSchema } from "../config/host-schema.ts";
import type { Host } from "./host.ts";
import { hostKey } from "../ssh/testing/host-key.ts";
import { endpointHost } from "./endpoint.ts";

const fleet = [{ name: "pi-0", server: { port: 8080 }, isVirtual: true }] as unknown as Host[];

test("the endpoint needs a host of the fleet by its name", () => {
  expect(() => endpointHost(endpointSchema.parse({ host: "pi-9" }), fleet)).toThrow(
    'the fleet has no host "pi-9"',
  );
});

test("a host that is not one of the fleet is reached as it is described", () => {
  const host = { name: "gate", address: "10.0.0.1", hostKey, privateKeyFile: "/k" };
  expect(endpointHost(endpointSchema.parse({ host }), fleet).connection).toEqual({
    ...host,
    port: 22,
    user: "pi",
  });
});
