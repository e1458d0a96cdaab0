import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { settings } from "../infra/config/testing/settings.ts";
import { sshdMissing, startSshd, type TestSshd } from "../infra/ssh/testing/sshd.ts";
import { ssh } from "./ssh.ts";

// A real sshd; only the stack is a stand-in.
const stack = vi.hoisted(() => ({ hosts: [] as unknown[] }));
vi.mock("./stack-state.ts", () => ({ readStackState: () => Promise.resolve({ virtualPis: new Map() }) }));
vi.mock("./stack.ts", () => ({
  openStack: () => Promise.resolve({ fullName: "organization/pipress/home", name: "home", config: {} }),
  hostsOf: () => Promise.resolve(stack.hosts),
}));

describe.skipIf(sshdMissing)("ssh", { timeout: 60_000 }, () => {
  let sshd: TestSshd;
  beforeAll(async () => {
    sshd = await startSshd("pi-1");
    const pi = { machine: sshd.host, ...settings, group: "attic" };
    stack.hosts = [
      { ...pi, name: "pi-1" },
      { ...pi, name: "pi-2" },
    ];
  });
  afterAll(() => sshd.remove());

  it("runs a command on the host, its words as they are, and has its status", async () => {
    expect(await ssh("pi-1", ["test", "-e", "/nowhere", "||", "exit", "3"], {})).toBe(3);
    expect(await ssh("pi-1", ["--", "exit", "4"], {})).toBe(4);
  });

  it("wants one host, and names those that there are", async () => {
    await expect(ssh("attic", [], {})).rejects.toThrow(
      "attic: is a group of 2 hosts, and this is for one at a time — one of: pi-1, pi-2",
    );
    await expect(ssh("pi-3", [], {})).rejects.toThrow("did you mean");
  });
});
