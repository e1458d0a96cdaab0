import { afterEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../common/user-error.ts";
import type { Call, Props } from "../../plugin/handler.ts";
import { unknown } from "../../plugin/values.ts";
import { hostKey } from "../../ssh/testing/host-key.ts";
import { whoServesWhat, waveResource, type WaveInputs } from "./wave-resource.ts";

// The probe of the hosts is a stand-in here; tests/fleet runs the real one.
const probed = vi.hoisted(() => ({
  hosts: [] as string[],
  failing: [] as string[],
  runs: [] as object[],
  error: undefined as unknown,
}));
vi.mock("./playbook-resource.ts", async (original) => ({
  ...(await original<object>()),
  runOnHost: (run: { host: { name: string } }) => {
    const { host } = run;
    probed.hosts.push(host.name);
    probed.runs.push(run);
    if (probed.error !== undefined) return Promise.reject(probed.error as Error);
    return probed.failing.includes(host.name)
      ? Promise.reject(new UserError({ where: host.name, what: "the service is failed" }))
      : Promise.resolve({});
  },
}));

const messages: string[] = [];
const log = (message: string): void => void messages.push(message);
const call = {
  ...{ name: "wave-1", log: { status: log, warn: log } },
  signal: new AbortController().signal,
} as unknown as Call;
const now = Math.round(Date.now() / 1000);

function member(name: string, status: "done" | "failed" | "skipped", at = now - 3600) {
  const outcome = { status, at, ...(status !== "done" && { reason: `${name} is ${status}` }) };
  const host = { name, address: "10.0.0.7", port: 22, user: "pi", hostKey: "ssh-ed25519 AAAA" };
  return { host, release: "f".repeat(64), outcome, vars: {} };
}

function wave(members: WaveInputs["members"], changes: Partial<WaveInputs> = {}): WaveInputs {
  const probe = "ansible/probe.yml";
  return {
    members,
    staging: false,
    maxFailures: 0,
    soakSeconds: 0,
    probe,
    concurrency: 2,
    served: [],
    waiting: [],
    ...changes,
  };
}

function pass(inputs: WaveInputs): Promise<Props> {
  return waveResource.create(inputs as unknown as Props, call).then(({ state }) => state);
}

afterEach(() => {
  messages.length = 0;
  probed.hosts.length = 0;
  probed.failing.length = 0;
  probed.runs.length = 0;
  probed.error = undefined;
});

describe("a wave", () => {
  test("passes when every host has the release, and looks at no host again where nothing follows", async () => {
    expect(await pass(wave([member("a", "done"), member("b", "done")]))).toEqual({ failed: [], skipped: [] });
    expect(probed.hosts).toEqual([]);
  });

  test("stops the rollout when more hosts fail than may, and says which hosts serve what", async () => {
    const inputs = wave([member("a", "done"), member("b", "failed"), member("c", "skipped")], {
      served: ["z"],
      waiting: ["x", "y"],
    });
    await expect(pass(inputs)).rejects.toThrow(
      [
        "wave-1: 1 of 3 hosts failed where 0 may: the rollout stops here",
        "wave-1 / b: b is failed",
        "wave-1: z, a have the new release (ffffffffffff); x, y were not touched; c is down — fix it and run `pulumi up` again: it resumes here",
      ].join("\n"),
    );
  });

  test("goes on with as many failures as may be, and warns of them", async () => {
    const inputs = wave([member("a", "done"), member("b", "failed")], { maxFailures: 1, waiting: ["c"] });
    expect(await pass(inputs)).toEqual({ failed: ["b"], skipped: [] });
    expect(messages).toEqual(["b is left behind: b is failed"]);
  });

  test("whose hosts are all down proves nothing, so that nothing follows; the last one may be down", async () => {
    await expect(pass(wave([member("a", "skipped")], { waiting: ["b"] }))).rejects.toThrow(
      /no host of this wave answers/,
    );
    expect(await pass(wave([member("a", "skipped")]))).toEqual({ failed: [], skipped: ["a"] });
  });

  test("whose hosts all failed stops the rollout, however many may fail", async () => {
    const inputs = wave([member("a", "failed"), member("b", "skipped")], { maxFailures: 5, waiting: ["x"] });
    await expect(pass(inputs)).rejects.toThrow(
      /^wave-1 \/ a: a is failed\nwave-1: no host of this wave serves the release, .*; x was not touched; b is down/,
    );
  });
});

describe("a soak", () => {
  test("waits the rest of its time, then looks at each host that serves", async () => {
    const started = Date.now();
    const at = started / 1000 - 2;
    const members = [member("a", "done", at), member("b", "done", at - 60), member("c", "failed")];
    await pass(wave(members, { soakSeconds: 2.3, maxFailures: 1, waiting: ["x"] }));
    expect(Date.now() - started).toBeGreaterThanOrEqual(299);
    expect(messages.some((line) => line.startsWith("soaking, "))).toBe(true);
    expect(probed.hosts.sort()).toEqual(["a", "b"]);
  });

  test("that was waited out before an interruption is not begun again", async () => {
    const started = Date.now();
    await pass(wave([member("a", "done", now - 3600)], { soakSeconds: 1800, waiting: ["x"] }));
    expect(Date.now() - started).toBeLessThan(1000);
    expect(probed.hosts).toEqual(["a"]);
  });

  test("that a host does not survive stops the rollout", async () => {
    probed.failing.push("a");
    await expect(
      pass(wave([member("a", "done"), member("b", "done")], { soakSeconds: 1, waiting: ["x"] })),
    ).rejects.toThrow(/wave-1 \/ a: a: the service is failed\nwave-1: b has the new release/);
  });

  test("that the only canary does not survive stops the rollout, even where one host may fail", async () => {
    probed.failing.push("a");
    const inputs = wave([member("a", "done")], { soakSeconds: 1, maxFailures: 1, waiting: ["x"] });
    await expect(pass(inputs)).rejects.toThrow(/no host of this wave serves the release/);
  });

  test("lasts as long from the last host that was switched, whichever that is", async () => {
    const started = Date.now();
    const members = [member("a", "done", now - 60), member("b", "done", started / 1000)];
    await pass(wave(members, { soakSeconds: 0.3, waiting: ["x"] }));
    expect(Date.now() - started).toBeGreaterThanOrEqual(299);
  });

  test("is not for a wave in which nobody serves", async () => {
    const inputs = wave([member("a", "skipped", now)], { soakSeconds: 600 });
    expect(await pass(inputs)).toEqual({ failed: [], skipped: ["a"] });
  });

  test("that is cancelled ends at once, and so does the look at the hosts after it", async () => {
    const signal = AbortSignal.abort(new Error("cancelled"));
    const cancelled = (inputs: WaveInputs) =>
      waveResource.create(inputs as unknown as Props, { ...call, signal });
    const soaking = wave([member("a", "done", now)], { soakSeconds: 600, waiting: ["x"] });
    await expect(cancelled(soaking)).rejects.toThrow(/abort/i);
    probed.failing.push("a");
    const looking = wave([member("a", "done")], { soakSeconds: 1, maxFailures: 1 });
    await expect(cancelled(looking)).rejects.toThrow("the service is failed");
  });

  test("looks at each host by its own variables and secrets, as many at a time as may be", async () => {
    const secretVars = { ansible_become_password: "x" };
    const a = { ...member("a", "done"), vars: { pipress_port: 1 }, secretVars };
    await pass(wave([a], { soakSeconds: 1 }));
    expect(probed.runs).toEqual([
      { playbook: "ansible/probe.yml", host: a.host, vars: { pipress_port: 1 }, secretVars, concurrency: 2 },
    ]);
  });

  test("in which this program has a bug is not taken for a host that fails", async () => {
    probed.error = new TypeError("undefined is not a function");
    const inputs = wave([member("a", "done"), member("b", "done")], { soakSeconds: 1, maxFailures: 1 });
    await expect(pass(inputs)).rejects.toThrow(TypeError);
  });
});

test("a wave is judged anew for another outcome, release or member, not for another threshold or way in", async () => {
  const inputs = wave([member("a", "done"), member("b", "done")]) as unknown as Props & WaveInputs;
  const changesTo = async (news: WaveInputs) =>
    Object.keys(
      (await waveResource.diff?.({ id: "w", inputs, state: {} }, news as unknown as Props))?.changes ?? {},
    );
  expect(await changesTo({ ...inputs, maxFailures: 3, soakSeconds: 9, waiting: ["x"] })).toEqual([]);
  const [a, b] = inputs.members;
  if (!a || !b) throw new Error("no members");
  expect(
    await changesTo({ ...inputs, members: [b, { ...a, host: { ...a.host, privateKeyFile: "/k" } }] }),
  ).toEqual([]);
  const otherProbe = { ...a, vars: { pipress_port: 1 }, secretVars: { ansible_become_password: "x" } };
  expect(await changesTo({ ...inputs, members: [otherProbe, b] })).toEqual([]);
  expect(await changesTo({ ...inputs, members: [member("a", "done", now), b] })).toEqual([
    "members.a.outcome.at",
  ]);
  expect(await changesTo({ ...inputs, members: [{ ...a, release: "0" }, b] })).toEqual(["members.a.release"]);
  expect(await changesTo({ ...inputs, members: [a] })).toEqual(["members.b"]);
});

test("a wave whose hosts are not known yet, or have no name at preview, compares them by their places", () => {
  const changesTo = (before: object, after: object) =>
    waveResource.diff?.({ id: "w", inputs: before as Props, state: {} }, after as Props);
  const nameless = (release: string) => ({
    members: [
      { release, host: {} },
      { release: "1", host: {} },
    ],
  });
  expect(changesTo(nameless("0"), nameless("0"))).toEqual({ changes: {} });
  expect(changesTo(nameless("0"), nameless("1"))).toMatchObject({ changes: { "members.0.release": {} } });
  expect(changesTo(nameless("0"), { members: unknown })).toMatchObject({
    changes: { members: { kind: "update" } },
  });
});

test("a wave judges again what is played again, and says nothing of it at preview", async () => {
  const inputs = wave([member("a", "done"), member("b", "skipped")]) as unknown as Props;
  const existing = { id: "w", inputs, state: {} };
  expect(await waveResource.update?.(existing, inputs, call)).toEqual({ failed: [], skipped: ["b"] });
  expect((await waveResource.create(inputs, call)).id).toBe("wave-1");
  expect(waveResource.previewCreate?.(inputs)).toEqual({});
  expect(waveResource.previewUpdate?.(existing, inputs)).toEqual({});
});

test("what a wave is given is checked by path, with what may be left out filled in", () => {
  const { host, release, outcome } = member("a", "done");
  const bare = { release, outcome, host: { ...host, hostKey } };
  const given = { members: [bare, bare] };
  const thresholds = { maxFailures: 2, soakSeconds: 3600, probe: "ansible/probe.yml", concurrency: 50 };
  expect(waveResource.check?.({ ...given, ...thresholds })).toEqual({
    inputs: {
      ...thresholds,
      members: given.members.map((member) => ({ ...member, vars: {} })),
      ...{ staging: false, served: [], waiting: [] },
    },
  });
  const bad = { ...given, maxFailures: -1, soakSeconds: -1, probe: "ansible/nowhere.yml", concurrency: 0 };
  const refused = (inputs: object) =>
    waveResource.check?.(inputs as Props).failures?.map(({ property }) => property);
  expect(refused(bad)?.sort()).toEqual(["concurrency", "maxFailures", "probe", "soakSeconds"]);
  expect(refused({ ...thresholds, members: [] })).toEqual(["members"]);
  expect(
    refused({ ...given, ...thresholds, members: [{ ...given.members[0], release: "", outcome: {} }] }),
  ).toEqual(["members[0].release", "members[0].outcome.status", "members[0].outcome.at"]);
});

test("hosts that cannot be staged stop the rollout before any service is touched", async () => {
  const members = [member("a", "done"), member("b", "failed"), member("c", "skipped")];
  await expect(pass(wave(members, { staging: true }))).rejects.toThrow(
    "a fetched it, and no service was touched; c did not answer",
  );
});

test("where nothing has the release, that is messages", () => {
  expect(whoServesWhat(wave([member("a", "failed")]))).toBe("no host has the new release");
});

test("the sentence about the fleet names who has the release, who waits and who is down, as one or as several", () => {
  const sentence = (...args: Parameters<typeof wave>) => whoServesWhat(wave(...args));
  expect(sentence([member("a", "done")], { waiting: ["x"] })).toBe(
    "a has the new release (ffffffffffff); x was not touched",
  );
  expect(sentence([member("a", "done"), member("b", "done")], { served: ["z"] })).toMatch(
    /^z, a, b have the new release/,
  );
  expect(sentence([member("a", "skipped"), member("b", "skipped")])).toBe("a, b are down");
  expect(sentence([member("a", "failed")], { staging: true })).toBe("no service was touched");
  expect(sentence([member("a", "done")], { staging: true })).toBe("a fetched it, and no service was touched");
});

test("a fleet of hundreds is reported by its first twenty", () => {
  const waiting = Array.from({ length: 23 }, (_, index) => `pi-${index}`);
  const named = (waiting: string[]) => whoServesWhat(wave([member("a", "failed")], { waiting }));
  expect(named(waiting)).toMatch(/^pi-0, .*, pi-19 and 3 more were not touched$/);
  expect(named(waiting.slice(0, 20))).toMatch(/, pi-19 were not touched$/);
});

test("a wave of one host is reported as one", async () => {
  await expect(pass(wave([member("a", "failed")]))).rejects.toThrow("1 of 1 host failed where 0 may");
});

test("what can be done about a wave that proves nothing depends on why", async () => {
  const remedy = (status: "failed" | "skipped") =>
    pass(wave([member("a", status)], { maxFailures: 1, waiting: ["x"] })).catch(String);
  expect(await remedy("failed")).toMatch(/serves the release.*`pulumi up` again/s);
  expect(await remedy("skipped")).toMatch(/answers.*rollout\.orderBy/s);
});
