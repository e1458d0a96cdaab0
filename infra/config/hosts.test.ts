import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { resolveHosts } from "./hosts.ts";
import { stackConfigSchema } from "./schema.ts";
import { hostKey, secondHostKey, thirdHostKey } from "../ssh/testing/host-key.ts";

function resolve(config: Record<string, unknown>) {
  const parsed = stackConfigSchema.parse({ recipe: "x", ...config });
  return resolveHosts(
    parsed.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host })),
    parsed,
    () => ({ server: { contextLength: 512, threads: 2, parallel: 1, minTokensPerSecond: 0.5 } }),
  );
}

describe("resolveHosts", () => {
  it("takes each setting from the host, else from its group, else from the stack, else from the recipe, else the default", () => {
    const [far, near, virtual] = resolve({
      server: { contextLength: 1024, threads: 4, port: 9000, flags: { "--batch-size": 512 } },
      groups: {
        attic: {
          user: "admin",
          privateKeyFile: "~/.ssh/attic",
          bastion: { address: "gate", user: "jump", hostKey },
          sudoPassword: "group's",
          prepare: true,
          build: "onDevice",
          labels: { floor: 3, room: "attic" },
          server: { contextLength: 2048, threads: 3 },
        },
      },
      rollout: { unreachable: "skip" },
      sudoPassword: "stack's",
      hosts: [
        {
          ...{ name: "pi-1", address: "10.0.0.1", hostKey, group: "attic", unreachable: "fail" },
          ...{
            agentSocket: "/run/agent",
            labels: { room: "roof" },
            server: { contextLength: 4096, flags: { "--no-warmup": true } },
          },
        },
        { name: "pi-2", address: "10.0.0.2", hostKey: secondHostKey, takeOver: true },
        { name: "pi-3", virtual: {} },
      ],
    });
    expect(far).toEqual({
      ...{ name: "pi-1", group: "attic" },
      machine: {
        ...{ name: "pi-1", address: "10.0.0.1", port: 22, user: "admin", hostKey },
        agentSocket: "/run/agent",
        bastion: { address: "gate", port: 22, user: "jump", hostKey },
      },
      ...{ build: "onDevice", unreachable: "fail", labels: { floor: "3", room: "roof" } },
      ...{ takeOver: false, prepare: true },
      sudoPassword: "group's",
      where: "pipress:hosts[0]",
      server: {
        ...{
          contextLength: 4096,
          threads: 3,
          port: 9000,
          parallel: 1,
          minTokensPerSecond: 0.5,
          cacheType: "f16",
          speculation: "none",
          ui: false,
        },
        flags: { "--batch-size": 512, "--no-warmup": true },
      },
    });
    expect(near).toEqual({
      name: "pi-2",
      machine: { name: "pi-2", address: "10.0.0.2", port: 22, user: "pi", hostKey: secondHostKey },
      ...{ build: "prebuilt", unreachable: "skip", takeOver: true, prepare: false, labels: {} },
      sudoPassword: "stack's",
      where: "pipress:hosts[1]",
      server: {
        ...{
          contextLength: 1024,
          threads: 4,
          port: 9000,
          parallel: 1,
          minTokensPerSecond: 0.5,
          cacheType: "f16",
          speculation: "ngram",
          ui: false,
        },
        flags: { "--batch-size": 512 },
      },
    });
    expect(virtual).toMatchObject({ name: "pi-3", virtual: { cpus: 2 }, server: { port: 9000 } });
  });

  function problemsOf(config: Record<string, unknown>): string[] {
    try {
      resolve(config);
      return [];
    } catch (error) {
      return (error as UserError).problems.map(({ where, what, remedy }) => `${where}: ${what} — ${remedy}`);
    }
  }

  it("names every host that is there twice and every group that nobody is in", () => {
    const host = { name: "pi-0", virtual: {}, group: "kitchen" };
    expect(problemsOf({ hosts: [host, host], groups: { kitchn: {}, garage: {} } })).toEqual([
      'pipress:hosts[1].name: "pi-0" is used twice — the other is pipress:hosts[0]',
      'pipress:groups.kitchn: no host is in this group — did you mean "kitchen"?',
      "pipress:groups.garage: no host is in this group — name it at a host, or remove it",
    ]);
  });

  it("refuses two names for one address, but not for two ports of it or two boards behind two bastions", () => {
    const pi = { address: "Pi.local", hostKey };
    const bastion = { address: "gate", user: "me", hostKey };
    const hosts = [
      { name: "pi-1", ...pi },
      { ...pi, name: "kitchen", address: "pi.local" },
    ];
    expect(problemsOf({ hosts })).toEqual([
      'pipress:hosts[1].address: pi.local is the address of "pi-1" too — the other is pipress:hosts[0]',
    ]);
    const apart = [
      { name: "pi-1", ...pi },
      { name: "pi-2", ...pi, hostKey: secondHostKey, port: 2222 },
      { name: "pi-3", ...pi, hostKey: thirdHostKey, bastion },
    ];
    expect(problemsOf({ hosts: apart })).toEqual([]);
  });

  it("refuses two names for one board, which its host key shows at any address", () => {
    const hosts = [
      { name: "pi-1", address: "10.0.0.1", hostKey },
      { name: "kitchen", address: "pi.local", hostKey: `${hostKey} root@raspberrypi` },
    ];
    expect(problemsOf({ hosts })).toEqual([
      expect.stringMatching(
        /^pipress:hosts\[1\].hostKey: "pi-1" has the same host key: both are one board, or one's card is a copy of the other's — .*ssh-keygen -A/,
      ),
    ]);
  });

  it("refuses an order by a label that no host has", () => {
    const hosts = [{ name: "pi-1", virtual: {}, labels: { ring: 1 } }];
    expect(problemsOf({ hosts, rollout: { orderBy: "rnig" } })).toEqual([
      'pipress:rollout.orderBy: no host has the label "rnig" — did you mean "ring"?',
    ]);
    expect(problemsOf({ hosts, rollout: { orderBy: "ring" } })).toEqual([]);
  });
});
