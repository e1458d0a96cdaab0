import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Connection } from "./connection.ts";
import { ConnectionFailure } from "./failure.ts";
import type { Hop, Machine } from "./machine.ts";
import { makeKey, sshdMissing, startSshd, type TestSshd } from "./testing/sshd.ts";

describe.skipIf(sshdMissing)("a bastion with several hosts behind it", { timeout: 120_000 }, () => {
  let target: TestSshd;
  let gate: TestSshd;

  beforeAll(async () => {
    // One connection more than it takes at a time is dropped.
    [target, gate] = await Promise.all([startSshd("pi-0"), startSshd("gate", {}, ["MaxStartups 4:100:4"])]);
  });
  afterAll(async () => {
    await Promise.all([target.remove(), gate.remove()]);
  });

  function hostsBehind(changes: Partial<Hop>, count: number): Machine[] {
    const { address, port, user, hostKey, privateKeyFile } = gate.host;
    const bastion = { address, port, user, hostKey, privateKeyFile, ...changes };
    return Array.from({ length: count }, (_, index) => ({ ...target.host, name: `pi-${index}`, bastion }));
  }

  async function failuresOf(hosts: readonly Machine[]): Promise<ConnectionFailure[]> {
    const opened = await Promise.allSettled(hosts.map((host) => Connection.open(host, 9)));
    return opened.map((result) => {
      if (result.status === "fulfilled" || !(result.reason instanceof ConnectionFailure))
        throw new Error(`no failure: ${JSON.stringify(result)}`);
      return result.reason;
    });
  }

  /** What is told of the bastion, and what of hosts; which host asks first is chance. */
  function split(failures: readonly ConnectionFailure[]): { told: string[]; others: string[] } {
    const texts = (isBastion: boolean) =>
      failures
        .filter(({ message }) => /^pi-\d \/ bastion: /.test(message) === isBastion)
        .map(({ message }) => message.replace(/^.*?: /, ""));
    return { told: texts(true), others: texts(false) };
  }

  it("is not asked by more of them at a time than sshd takes", async () => {
    const connections = await Promise.all(hostsBehind({}, 8).map((host) => Connection.open(host, 9)));
    await Promise.all(connections.map((connection) => connection.close()));
  });

  it("is told once where it is off, and no host is taken for one that is down", async () => {
    const failures = await failuresOf(hostsBehind({ port: 1 }, 3));
    const { told, others } = split(failures);
    expect(told).toEqual([
      "unreachable: nothing listens on 127.0.0.1:1 — start sshd on the bastion 127.0.0.1, or correct bastion.port",
    ]);
    const pointer = expect.stringMatching(
      /^the bastion 127\.0\.0\.1:1 is in the way — see what is told of pi-\d \/ bastion$/,
    );
    expect(others).toEqual([pointer, pointer]);
    expect(failures.map(({ isHostDown }) => isHostDown)).toEqual([false, false, false]);
  });

  it("is told once where it refuses the key, is a stranger, or has no name", async () => {
    const { path } = await makeKey(gate.folder, "stranger");
    for (const [changes, words] of [
      [{ privateKeyFile: path }, /^the bastion 127\.0\.0\.1 does not accept the key of user/],
      [{ hostKey: target.host.hostKey }, /^wrong host key: expected SHA256:/],
      [{ address: "gate.invalid" }, /^unreachable: the name gate\.invalid does not resolve/],
    ] as const) {
      const { told, others } = split(await failuresOf(hostsBehind(changes, 2)));
      expect(told).toEqual([expect.stringMatching(words)]);
      expect(others).toEqual([expect.stringMatching(/^the bastion \S+ is in the way/)]);
    }
  });

  it("is not in the way of a host that is down itself", async () => {
    const [host] = hostsBehind({}, 1);
    const [failure] = await failuresOf([{ ...(host as Machine), port: 1 }]);
    expect(failure?.message).toMatch(
      /^pi-0: unreachable: nothing listens on 127\.0\.0\.1:1 through the bastion/,
    );
    expect(failure?.isHostDown).toBe(true);
  });
});
