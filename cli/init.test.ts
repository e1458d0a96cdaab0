import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { parseStackConfig } from "../infra/config/load.ts";
import type { Board } from "../infra/fleet/board.ts";
import { choices, fitting, usableMemory } from "../infra/prediction/choice.ts";
import { addressesOf, parseArpTable } from "../infra/ssh/neighbours.ts";
import { hostKey } from "../infra/ssh/testing/host-key.ts";
import { parseAddress, recommended, stackFile } from "./init.ts";

const board = (hostname: string): Board => ({
  ...{ hostname, model: "Raspberry Pi 4 Model B Rev 1.4", memoryBytes: 4e9 },
  ...{ asksForPassword: true, countsMemory: false },
});
const machine = { name: "a", address: "192.168.1.20", port: 22, user: "pi", hostKey };

describe("an address", () => {
  it.each([
    ["pi-1.local", { address: "pi-1.local", port: 22 }],
    ["anna@192.168.1.20:2222", { user: "anna", address: "192.168.1.20", port: 2222 }],
    ["2001:db8::7", { address: "2001:db8::7", port: 22 }],
    ["anna@[2001:db8::7]:2222", { user: "anna", address: "2001:db8::7", port: 2222 }],
  ])("is %s", (text, place) => {
    expect(parseAddress(text)).toEqual({ user: undefined, ...place });
  });

  it.each(["", "a b", "pi:0", "pi:99999", "@pi", "http://pi/"])("is not %j", (text) => {
    expect(() => parseAddress(text)).toThrow("is no address — write [USER@]NAME[:PORT]");
  });
});

describe("a stack's file", () => {
  const hosts = [
    { machine, board: board("raspberrypi") },
    {
      machine: { ...machine, address: "192.168.1.21", port: 2222, user: "anna" },
      board: board("raspberrypi"),
    },
    {
      machine: { ...machine, address: "192.168.1.22", privateKeyFile: "~/.ssh/pi" },
      board: board("Küche_1"),
    },
  ];

  it("is what `up` reads, with a name for each board and nothing that goes without saying", () => {
    const text = stackFile({ "pipress:model": "qwen3-0.6b" }, hosts, true);
    const { config } = parse(text) as { config: Record<string, unknown> };
    expect(config["pipress:hosts"]).toEqual([
      { name: "raspberrypi", address: "192.168.1.20", hostKey },
      { name: "raspberrypi-2", address: "192.168.1.21", port: 2222, user: "anna", hostKey },
      { name: "k-che-1", address: "192.168.1.22", hostKey, privateKeyFile: "~/.ssh/pi" },
    ]);
    const read = Object.entries(config).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]);
    expect(parseStackConfig(Object.fromEntries(read) as Record<string, string>)).toMatchObject({
      model: "qwen3-0.6b",
      prepareHosts: true,
    });
  });

  it("is refused before it is written where `up` would refuse it", () => {
    const relative = [{ machine: { ...machine, privateKeyFile: "key" }, board: board("a") }];
    expect(() => stackFile({ "pipress:recipe": "x" }, relative, false)).toThrow("must be an absolute path");
  });
});

describe("the model that is suggested", () => {
  const suggested = (gib: number) =>
    recommended(
      fitting(choices(), { bytes: usableMemory(gib * 2 ** 30) }).filter(({ kind }) => kind === "model"),
    );

  it("is the largest that one can read along with", () => {
    expect(suggested(2)?.name).toBe("tinyllama-1.1b");
    expect(suggested(8)?.tokensPerSecond).toBeGreaterThanOrEqual(3);
    expect(suggested(8)?.fileBytes).toBeGreaterThan(1e9);
    expect(suggested(0.5)).toBeUndefined();
    expect(choices().filter(({ kind }) => kind === "embeds")).not.toEqual([]);
  });
});

describe("boards on the network", () => {
  it("are known by the hardware address of a Raspberry Pi that answered", () => {
    const table = [
      "IP address       HW type     Flags       HW address            Mask     Device",
      "192.168.1.20     0x1         0x2         dc:a6:32:01:02:03     *        eth0",
      "192.168.1.21     0x1         0x2         D8:3A:DD:01:02:03     *        eth0",
      "192.168.1.22     0x1         0x0         b8:27:eb:01:02:03     *        eth0",
      "192.168.1.1      0x1         0x2         00:11:22:33:44:55     *        eth0",
      "",
    ].join("\n");
    expect(parseArpTable(table)).toEqual(["192.168.1.20", "192.168.1.21"]);
  });

  it("are asked for on small networks only", () => {
    expect(addressesOf("10.0.0.2", "255.255.255.252")).toEqual(["10.0.0.1"]);
    expect(addressesOf("192.168.1.7", "255.255.255.0")).toHaveLength(253);
    expect(addressesOf("10.1.2.3", "255.255.0.0")).toEqual([]);
    expect(addressesOf("10.1.2.3", "255.255.255.255")).toEqual([]);
  });
});
