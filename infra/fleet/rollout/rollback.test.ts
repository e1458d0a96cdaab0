import { expect, test } from "vitest";
import type { HostConfig } from "../../config/hosts.ts";
import { rollBack } from "./rollback.ts";
import { settings } from "../../config/testing/settings.ts";

function host(name: string, group?: string): HostConfig {
  return {
    name,
    machine: { name, address: "127.0.0.1", port: 1, user: "pi", hostKey: "ssh-ed25519 AAAA" },
    ...settings,
    ...(group !== undefined && { group }),
  };
}

const fleet = [host("pi-1", "attic"), host("pi-2", "attic"), host("attic-3")];

test("a host that does not answer says so and keeps no other from going back", async () => {
  const log = { status: () => undefined, warn: () => undefined };
  const state = { stackId: undefined, virtualPis: new Map<string, string>() };
  const outcomes = await rollBack(fleet.slice(0, 2), state, 2, log, new AbortController().signal);
  expect(outcomes.map(({ ok }) => ok)).toEqual([false, false]);
  expect(outcomes[1]?.message).toMatch(/^pi-2: unreachable: nothing listens on 127\.0\.0\.1:1/);
});
