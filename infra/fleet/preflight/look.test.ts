import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { closeConnections } from "../../ansible/run.ts";
import { sshdMissing } from "../../ssh/testing/sshd.ts";
import { type HostFindings, type LookedAt, lookAtHosts, unfitHosts } from "./look.ts";
import { startHosts, type TestHosts } from "./testing/hosts.ts";

const missing = sshdMissing ? ` (skipped: ${sshdMissing})` : "";

describe.skipIf(sshdMissing)(`a look at hosts on loopback${missing}`, { timeout: 240_000 }, () => {
  let hosts: TestHosts;
  beforeAll(async () => {
    hosts = await startHosts();
  });
  afterAll(async () => {
    await closeConnections();
    await hosts.remove();
  });

  function lookedAt(
    host: LookedAt["host"],
    changes: { model?: number; unreachable?: "skip" } = {},
  ): LookedAt {
    const { model = 1e6, unreachable = "fail" } = changes;
    const file = (bytes: number) => ({ sha256: "0".repeat(64), bytes });
    const release = { model: file(model), server: file(1e6), memoryMax: 1e8, settings: { port: 8080 } };
    const vars = { pipress_release: release, pipress_source: file(1), pipress_virtual: true };
    return { host, unreachable, vars, secretVars: {} };
  }

  function look(...looked: LookedAt[]): Promise<HostFindings[]> {
    const log = { status: () => undefined, warn: () => undefined };
    return lookAtHosts(looked, 10, log, new AbortController().signal);
  }

  test("finds everything about all of them at once", async () => {
    const { good, off, impostor, locked } = hosts;
    const looks = await look(...[good, off, impostor, locked].map((host) => lookedAt(host)));
    expect(unfitHosts(looks)).toEqual(["pi-2", "pi-3", "pi-4"]);
    expect(looks[0]?.findings.at(-1)).toEqual({
      level: "note",
      where: "pi-1",
      what: expect.stringMatching(
        /^Raspberry Pi 4 Model B Rev 1.4, \S+ GB of memory, \S+ [GT]B of disk free$/,
      ) as string,
    });
    expect(looks.slice(1).flatMap(({ findings }) => findings)).toEqual([
      {
        level: "error",
        where: "pi-2",
        what: `unreachable: nothing listens on 127.0.0.1:${off.port}`,
        remedy: "start sshd on the host, or correct port",
      },
      {
        level: "error",
        where: "pi-3",
        what: expect.stringMatching(/^wrong host key: expected SHA256:\S+, offered SHA256:\S+;/) as string,
        remedy: expect.stringContaining("hostKey") as string,
      },
      {
        level: "error",
        where: "pi-4",
        what: expect.stringContaining("password") as string,
        remedy: expect.stringMatching(/./) as string,
      },
    ]);
  });

  test("finds that the release will not fit, with how much it lacks", async () => {
    const [found] = await look(lookedAt(hosts.good, { model: 1e15 }));
    const error = found?.findings.find(({ level }) => level === "error");
    expect(error?.what).toMatch(/of disk are free, but the release needs/);
    expect(error?.remedy).toMatch(/free some space/);
  });

  test("asks a host that gets no release for no more than Python and sudo", async () => {
    const [balancer, locked] = await look(
      ...[hosts.good, hosts.locked].map((host) => ({
        host,
        vars: {},
        secretVars: {},
        unreachable: "fail" as const,
      })),
    );
    expect(balancer?.findings).toEqual([
      { level: "note", where: "pi-1", what: "answers, and its user may use sudo" },
    ]);
    expect(locked?.findings).toMatchObject([{ level: "error" }]);
  });

  test("takes a host that may be off for no error, and one with another key for one all the same", async () => {
    const looks = await look(
      lookedAt(hosts.off, { unreachable: "skip" }),
      lookedAt(hosts.impostor, { unreachable: "skip" }),
    );
    expect(looks[0]?.findings.map(({ level }) => level)).toEqual(["warning"]);
    expect(unfitHosts(looks)).toEqual(["pi-3"]);
  });
});
