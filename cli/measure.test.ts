import { beforeEach, describe, expect, it, vi } from "vitest";
import type { HostConfig } from "../infra/config/hosts.ts";
import { settings } from "../infra/config/testing/settings.ts";
import type { Outcome } from "../infra/fleet/measure.ts";
import { measuredRow } from "../infra/prediction/testing/rows.ts";
import { measure } from "./measure.ts";

// Only what the verb makes of a host's answers: the host, the stack and its file are stand-ins.
const host = vi.hoisted(() => ({
  isEmulated: false,
  look: vi.fn(),
  measure: vi.fn(),
  stop: vi.fn(() => Promise.resolve()),
  secondsFor: () => 90,
}));
const addMeasured = vi.hoisted(() => vi.fn());
const stack = vi.hoisted(() => ({ hosts: [] as unknown[] }));
vi.mock("../infra/fleet/measure.ts", async (original) => ({
  ...(await original<object>()),
  HostMeasurement: vi.fn(() => host),
}));
vi.mock("../infra/prediction/measured-file.ts", async (original) => ({
  ...(await original<object>()),
  addMeasured,
}));
vi.mock("../toolchain/toolchain.ts", () => ({ readToolchain: () => ({}) }));
vi.mock("./stack-state.ts", () => ({ readStackState: () => Promise.resolve({ virtualPis: new Map() }) }));
vi.mock("./stack.ts", () => ({
  openStack: () => Promise.resolve({ fullName: "organization/pipress/home", name: "home", config: {} }),
  hostsOf: () => Promise.resolve(stack.hosts),
}));

const { weights, model, type, parameters, fileBytes } = measuredRow;
const outcome: Outcome = {
  ...{ model: { name: model, type, parameters, fileBytes, ...weights }, threads: 4, build: 11434 },
  ...{ prompt: 1.6, generation: 0.7, beside: null, board: measuredRow.board, governor: "ondemand" },
  ...{ throttled: 0, celsius: 61.3, megahertz: 1500, bootloader: "2024-08-30" },
};
const named = (name: string, group?: string): HostConfig => {
  const machine = { name, address: "127.0.0.1", port: 1, user: "pi", hostKey: "ssh-ed25519 AAAA" };
  return { name, machine, ...settings, ...(group !== undefined && { group }) };
};

let said: string[];
beforeEach(() => {
  vi.clearAllMocks();
  said = [];
  for (const method of ["log", "error"] as const)
    vi.spyOn(console, method).mockImplementation((...line: unknown[]) => void said.push(line.join(" ")));
  stack.hosts = [named("pi-1", "attic"), named("pi-2", "attic")];
  host.isEmulated = false;
  host.look.mockResolvedValue({ running: false, model: outcome.model });
  host.measure.mockResolvedValue(outcome);
});

describe("measure", () => {
  it("adds what was measured to the stack's file", async () => {
    expect(await measure("pi-1", { yes: true })).toBe(0);
    expect(addMeasured.mock.calls).toEqual([
      ["home", expect.objectContaining({ host: "pi-1", prompt: 1.6, generation: 0.7, weights }) as object],
    ]);
    expect(said[0]).toMatch(
      /^pi-1: to measure Llama 3.1 8B .* llama-server is stopped there, for about 1 min 30 s/,
    );
    expect(said.at(-1)).toMatch(/^added to Pulumi\.home\.measured\.csv/);
  });

  it("refuses what a throttled board did", async () => {
    host.measure.mockResolvedValue({ ...outcome, throttled: 0x4 });
    expect(await measure("pi-1", { yes: true })).toBe(1);
    expect(addMeasured).not.toHaveBeenCalled();
    expect(said.at(-1)).toMatch(/^pi-1: nothing is written.*throttled the board \(get_throttled 0x4\)/);
  });

  it("keeps nothing of an emulated Pi, and says why", async () => {
    host.isEmulated = true;
    host.measure.mockResolvedValue({ ...outcome, board: null });
    expect(await measure("pi-1", { yes: true })).toBe(0);
    expect(addMeasured).not.toHaveBeenCalled();
    expect(said.at(-1)).toMatch(/an emulated Pi says nothing about a real one$/);
  });

  it("stops no server without a yes", async () => {
    await expect(measure("pi-1", {})).rejects.toThrow(/there is no terminal to ask at — `--yes` goes ahead/);
    expect(host.measure).not.toHaveBeenCalled();
  });

  it("waits for one that is at work already, and asks nothing", async () => {
    host.look.mockResolvedValue({ running: true });
    expect(await measure("pi-1", {})).toBe(0);
    expect(said[0]).toBe("pi-1: a measurement is at work there already; waiting for it");
  });

  it("takes one host", async () => {
    await expect(measure("attic", { yes: true })).rejects.toThrow(
      "attic: is a group of 2 hosts, and this is for one at a time — one of: pi-1, pi-2",
    );
    await expect(measure("pi-3", { yes: true })).rejects.toThrow(
      /the stack has no host, no group and no label of this name/,
    );
    expect(host.look).not.toHaveBeenCalled();
  });

  it("has the host serve again at Ctrl-C", async () => {
    host.measure.mockImplementation(
      (_: unknown, signal: AbortSignal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            reject(new Error("cancelled"));
          });
          setImmediate(() => process.emit("SIGINT"));
        }),
    );
    await expect(measure("pi-1", { yes: true })).rejects.toThrow(
      "pi-1: cancelled; llama-server serves there again",
    );
    expect(host.stop).toHaveBeenCalledOnce();
    expect(addMeasured).not.toHaveBeenCalled();
  });
});
