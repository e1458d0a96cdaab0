/**
 * What this side hands to a play, and what it makes of how the play ended. The play is a stand-in here:
 * infra/ansible/run.test.ts and tests/fleet run real ones.
 */
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { repoRoot } from "../../../common/paths.ts";
import { PlaybookFailed } from "../../ansible/playbook-failed.ts";
import type { Outcome, PlaybookRun } from "../../ansible/run.ts";
import type { HostConfig } from "../../config/hosts.ts";
import { type Call, InitializationFailed } from "../../plugin/handler.ts";
import { ConnectionFailure, type FailureKind } from "../../ssh/failure.ts";
import type { Hop } from "../../ssh/machine.ts";
import { hostKey } from "../../ssh/testing/host-key.ts";
import { purgeVariable } from "../purge.ts";
import { playbookResource } from "./playbook-resource.ts";
import { rollBack } from "./rollback.ts";
import { settings } from "../../config/testing/settings.ts";

const plays = vi.hoisted(() => ({
  runs: [] as PlaybookRun[],
  end: (): Promise<unknown> => Promise.resolve({}),
}));
vi.mock("../../ansible/run.ts", async (original) => ({
  ...(await original<object>()),
  runPlaybook: (run: PlaybookRun) => {
    plays.runs.push(run);
    return plays.end();
  },
}));

const recap = {
  ok: 5,
  changed: 1,
  skipped: 0,
  failed: 0,
  tasks: 6,
  seconds: 2,
  changedTasks: ["server: unit"],
};
const done: Outcome = { recap, results: { release: "new" } };
const hop = { address: "10.0.0.7", port: 22, user: "pi", hostKey };
const host = { name: "pi-0", ...hop };
const sha256 = "a".repeat(64);
const inputs = {
  ...{ playbook: "ansible/site.yml", removal: "ansible/remove.yml", contentDigest: "1", host },
  ...{
    vars: { a: 1 },
    routeVars: { b: 2 },
    secretVars: { c: "secret" },
    concurrency: 3,
    bytesPerSecond: 1000,
  },
  ...{ files: [{ sha256, bytes: 4, source: "llama-server" }], failures: "throw", unreachable: "fail" },
};
const before = { claim: "cafe", recap: { tasks: 9 }, results: { release: "old" }, drift: [], outcome: {} };
const existing = { id: "pi-0", inputs, state: before };

const warned: string[] = [];
const abort = () => AbortSignal.abort(new Error("cancelled"));
const call = (signal = new AbortController().signal) => {
  const log = { status: () => undefined, warn: (message: string) => void warned.push(message) };
  return { urn: "", name: "pi-0", log, signal } satisfies Call;
};

const failed = new PlaybookFailed({ where: "pi-0 / server", what: "port 8080 is taken" });
const notConnected = (kind: FailureKind, about: Hop = host) =>
  new ConnectionFailure(kind, about, { where: "pi-0", what: `it is the ${kind}`, remedy: "r" });
const offBehindBastion = notConnected("unreachable", hop);
const bug = new TypeError("undefined is not a function");

function ends(outcome: unknown): void {
  plays.end = () =>
    outcome instanceof Error ? Promise.reject(outcome) : Promise.resolve(outcome as Outcome);
}
const create = (changes: object = {}, signal?: AbortSignal) =>
  playbookResource.create({ ...inputs, ...changes }, call(signal));
const update = (changes: object = {}, signal?: AbortSignal) =>
  playbookResource.update?.(existing, { ...inputs, ...changes }, call(signal)) as Promise<object>;
const read = (signal?: AbortSignal) =>
  playbookResource.read?.(existing, call(signal)) as Promise<{ state: object }>;
const remove = (changes: object = {}, signal?: AbortSignal) =>
  playbookResource.delete?.(
    { ...existing, inputs: { ...inputs, ...changes } },
    call(signal),
  ) as Promise<void>;

beforeEach(() => ends(done));
afterEach(() => {
  plays.runs.length = 0;
  warned.length = 0;
  vi.unstubAllEnvs();
});

describe("a play on a host", () => {
  test("is given its variables and the files that it pulls, and knows a claim that its state keeps", async () => {
    const { id, state } = await create();
    const [{ files, vars, ...run } = {} as PlaybookRun] = plays.runs;
    expect(run).toMatchObject({
      ...{
        playbook: join(repoRoot, "ansible/site.yml"),
        host,
        check: false,
        concurrency: 3,
        bytesPerSecond: 1000,
      },
      ...{ secretVars: { c: "secret" }, expectedTasks: undefined },
    });
    expect(vars).toEqual({ a: 1, b: 2, pipress_claim: expect.stringMatching(/^[0-9a-f]{16}$/) as string });
    expect(files).toMatchObject([{ sha256, bytes: 4, path: expect.stringMatching(/^\//) as string }]);
    expect(id).toBe("pi-0");
    const { outcome, ...rest } = state as { outcome: { at: number } };
    expect(rest).toEqual({ claim: vars?.pipress_claim, recap, results: { release: "new" }, drift: [] });
    expect(outcome).toEqual({ status: "done", at: outcome.at });
    expect(Math.abs(outcome.at - Date.now() / 1000)).toBeLessThan(10);
  });

  test("keeps its claim from one run to the next, and knows how many tasks the last one had", async () => {
    expect(await update()).toMatchObject({ claim: "cafe", results: { release: "new" }, drift: [] });
    expect(plays.runs[0]).toMatchObject({ vars: { pipress_claim: "cafe" }, expectedTasks: 9 });
    const [first, second] = [await create(), await create()];
    expect(first.state.claim).not.toBe(second.state.claim);
  });

  test("that fails is kept as drift, with what the host reported before, so that the next `up` runs it again", async () => {
    ends(failed);
    const error: unknown = await update().catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(InitializationFailed);
    const { id, message, state } = error as InitializationFailed;
    expect([id, message]).toEqual(["pi-0", failed.message]);
    expect(state).toMatchObject({
      ...{ claim: "cafe", results: { release: "old" } },
      outcome: { status: "failed", reason: failed.message },
    });
    expect(state.drift).toHaveLength(1);
    expect(playbookResource.diff?.({ ...existing, state }, inputs)).toHaveProperty("changes.drift");
    await expect(create()).rejects.toMatchObject({ state: { results: {}, outcome: { status: "failed" } } });
  });

  test("that fails where a wave judges it is reported and warned of", async () => {
    ends(failed);
    expect(await update({ failures: "report" })).toMatchObject({
      ...{ claim: "cafe", results: { release: "old" } },
      outcome: { status: "failed", reason: failed.message },
    });
    expect(warned).toEqual([failed.message]);
  });

  test("that never began for want of a connection leaves the state as it is, where nobody judges it", async () => {
    for (const failure of [notConnected("unreachable"), notConnected("userKey")]) {
      ends(failure);
      await expect(update()).rejects.toBe(failure);
    }
  });

  test("is skipped where the host itself is off and may be, and for no other reason", async () => {
    const skip = { unreachable: "skip" };
    ends(notConnected("unreachable"));
    expect(await update(skip)).toMatchObject({ outcome: { status: "skipped" }, results: { release: "old" } });
    await expect(update(skip, abort())).rejects.toThrow("unreachable");
    for (const failure of [notConnected("hostKey"), offBehindBastion, failed]) {
      ends(failure);
      await expect(update(skip), failure.message).rejects.toThrow();
      expect(await update({ ...skip, failures: "report" })).toMatchObject({ outcome: { status: "failed" } });
    }
  });

  test("that is cancelled is no outcome to go on from", async () => {
    ends(failed);
    await expect(update({ failures: "report" }, abort())).rejects.toBeInstanceOf(InitializationFailed);
    expect(warned).toEqual([]);
  });

  test("in which this program has a bug is not taken for a failure of the host", async () => {
    ends(bug);
    await expect(update({ failures: "report", unreachable: "skip" })).rejects.toBe(bug);
    await expect(read()).rejects.toBe(bug);
    await expect(remove()).rejects.toBe(bug);
  });

  test("leaves everything open at preview", () => {
    expect(playbookResource.previewCreate?.(inputs)).toEqual({});
    expect(playbookResource.previewUpdate?.(existing, inputs)).toEqual({});
  });
});

describe("a look at a host", () => {
  test("changes nothing, pulls nothing, and keeps what would change as drift", async () => {
    expect(await read()).toEqual({ state: { ...before, drift: ["server: unit"] } });
    expect(plays.runs).toMatchObject([
      {
        check: true,
        files: [],
        playbook: join(repoRoot, "ansible/site.yml"),
        vars: { pipress_claim: "cafe" },
      },
    ]);
  });

  test("that fails is drift too, and the host stays in the state", async () => {
    ends(failed);
    expect(await read()).toEqual({ state: { ...before, drift: ["pi-0 / server: port 8080 is taken"] } });
    expect(warned).toEqual([failed.message]);
    await expect(read(abort())).rejects.toBe(failed);
  });
});

describe("a removal", () => {
  test("runs its own playbook with the host's variables and claim, and pulls nothing", async () => {
    ends({ ...done, results: { warnings: ["the service is another stack's"] } });
    await remove();
    expect(plays.runs).toMatchObject([
      { playbook: join(repoRoot, "ansible/remove.yml"), host, files: [], check: false, expectedTasks: 9 },
    ]);
    expect(plays.runs[0]?.vars).toEqual({ a: 1, b: 2, pipress_claim: "cafe", pipress_purge: false });
    expect(warned).toEqual(["pi-0: the service is another stack's"]);
    ends(done);
    await remove();
    expect(warned).toHaveLength(1);
  });

  test("takes the data along where that is asked for, by the word `true` alone", async () => {
    for (const value of ["true", "false"]) {
      vi.stubEnv(purgeVariable, value);
      await remove();
    }
    expect(plays.runs.map(({ vars }) => vars?.pipress_purge)).toEqual([true, false]);
  });

  test("that fails is not passed over: the state would forget a host that still serves", async () => {
    for (const failure of [failed, notConnected("setting"), notConnected("userKey")]) {
      ends(failure);
      await expect(remove(), failure.message).rejects.toBe(failure);
    }
    expect(warned).toEqual([]);
  });

  test("passes over a host that is off, or another one by now, unless it is cancelled", async () => {
    for (const failure of [notConnected("unreachable"), notConnected("hostKey")]) {
      ends(failure);
      await remove({ leftBehind: "the model" });
      expect(warned.at(-1)).toMatch(
        /^pi-0: it is the \w+; nothing was removed there, and it keeps the model$/,
      );
      await expect(remove({}, abort())).rejects.toBe(failure);
    }
  });

  test("names the key of another machine that is not on this one, and does without it", async () => {
    const bastion = { ...hop, privateKeyFile: "/nowhere/key" };
    ends(notConnected("userKey"));
    await expect(remove({ host: { ...host, bastion } })).rejects.toThrow(
      /^pi-0: it is the userKey; \/nowhere\/key, .* is not on this machine/,
    );
    expect(JSON.stringify(plays.runs[0]?.host)).not.toContain("/nowhere/key");
  });

  test("of what has none touches no host", async () => {
    await remove({ removal: undefined });
    expect(plays.runs).toEqual([]);
  });
});

describe("a rollback", () => {
  const real: HostConfig = { ...settings, name: "pi-0", machine: host, sudoPassword: "battery" };
  const back = (hosts: readonly HostConfig[], stackId?: string, virtualPis = new Map<string, string>()) =>
    rollBack(hosts, { stackId, virtualPis }, 2, call().log, call().signal);

  test("reports what each host serves again, and hands it the owner and the password of sudo", async () => {
    ends({ recap, results: { release: "1".repeat(64), left: "2".repeat(64) } });
    const message = "serves 111111111111 again; 222222222222 is marked bad there";
    expect(await back([real], "stack-1")).toEqual([{ host: "pi-0", ok: true, message }]);
    expect(plays.runs).toMatchObject([
      {
        ...{ playbook: join(repoRoot, "ansible/rollback.yml"), host, concurrency: 2 },
        ...{ vars: { pipress_owner: { id: "stack-1" } }, secretVars: { ansible_become_password: "battery" } },
      },
    ]);
    await back([real]);
    expect(plays.runs[1]?.vars).toEqual({});
  });

  test("that fails on a host names the reason; a bug of this program is none", async () => {
    ends(failed);
    expect(await back([real])).toEqual([{ host: "pi-0", ok: false, message: failed.message }]);
    ends(bug);
    await expect(back([real])).rejects.toBe(bug);
  });

  test("of a virtual host that is not on this machine says so, and touches nothing", async () => {
    const virtual: HostConfig = { ...settings, name: "pi-9", virtual: { memory: 1, cpus: 1, disk: 1 } };
    const [outcome] = await back([virtual]);
    expect(outcome).toMatchObject({
      host: "pi-9",
      ok: false,
      message: expect.stringMatching(/^pi-9: /) as string,
    });
    expect(plays.runs).toEqual([]);
  });
});
