import { expect, test } from "vitest";
import type { HostConfig } from "../infra/config/hosts.ts";
import { settings } from "../infra/config/testing/settings.ts";
import { chooseAll } from "./part.ts";

function host(name: string, group: string, ring: string): HostConfig {
  const machine = { name, address: "127.0.0.1", port: 1, user: "pi", hostKey: "ssh-ed25519 AAAA" };
  return { ...settings, name, machine, group, labels: { ring } };
}

const fleet = [host("pi-1", "attic", "1"), host("pi-2", "attic", "2"), host("pi-3", "cellar", "2")];
const choose = (...names: string[]) => chooseAll(fleet, names).map(({ name }) => name);

test("hosts, groups and labels together, in the fleet's order and each once", () => {
  expect(choose("ring=2", "pi-1", "pi-2")).toEqual(["pi-1", "pi-2", "pi-3"]);
  expect(choose("cellar")).toEqual(["pi-3"]);
});

test("every name that is none is said at once", () => {
  expect(() => choose("pi-1", "atic", "ring=9")).toThrow(/atic: .*did you mean "attic"[^]*ring=9: /);
});
