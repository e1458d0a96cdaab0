import { describe, expect, test } from "vitest";
import type { HostConfig } from "../config/hosts.ts";
import { settings } from "../config/testing/settings.ts";
import { chooseHosts } from "./choose-hosts.ts";

function host(name: string, group?: string, labels: Record<string, string> = {}): HostConfig {
  return {
    name,
    machine: { name, address: "127.0.0.1", port: 1, user: "pi", hostKey: "ssh-ed25519 AAAA" },
    ...settings,
    labels,
    ...(group !== undefined && { group }),
  };
}

const fleet = [host("pi-1", "attic"), host("pi-2", "attic"), host("attic-3")];
const rings = [host("pi-1", "attic", { ring: "1" }), host("pi-2", undefined, { ring: "2" })];

describe("chooseHosts", () => {
  test("takes one host by its name, or all of a group", () => {
    expect(chooseHosts(fleet, "pi-2").map(({ name }) => name)).toEqual(["pi-2"]);
    expect(chooseHosts(fleet, "attic").map(({ name }) => name)).toEqual(["pi-1", "pi-2"]);
  });

  test("takes those that have a label of that value", () => {
    expect(chooseHosts(rings, "ring=2").map(({ name }) => name)).toEqual(["pi-2"]);
    expect(() => chooseHosts(rings, "ring=3")).toThrow('did you mean "ring=1"?');
    expect(() => chooseHosts(rings, "ring")).toThrow("no label of this name");
  });

  test("names the nearest host or group for one that is not there", () => {
    expect(() => chooseHosts(fleet, "atic")).toThrow(
      'atic: the stack has no host, no group and no label of this name — did you mean "attic"?',
    );
    expect(() => chooseHosts(fleet, "zzzzzzzz")).toThrow("one of: pi-1, attic, pi-2, attic-3");
    expect(() => chooseHosts([], "pi-1")).toThrow("pi-1: the stack has no hosts");
  });
});
