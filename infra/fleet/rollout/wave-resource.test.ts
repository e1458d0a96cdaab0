import { afterEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../../common/user-error.ts";
import type { Call, Props } from "../../plugin/handler.ts";
import { whoServesWhat, waveResource, type WaveInputs } from "./wave-resource.ts";

// The probe of the hosts is a stand-in here; tests/fleet runs the real one.
const probed = vi.hoisted(() => ({ hosts: [] as string[], failing: [] as string[] }));
vi.mock("./playbook-resource.ts", async (original) => ({
  ...(await original<object>()),
  runOnHost: ({ host }: { host: { name: string } }) => {
    probed.hosts.push(host.name);
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
    const members = [member("a", "done", now), member("b", "done", now - 60), member("c", "failed")];
    await pass(wave(members, { soakSeconds: 1.5, maxFailures: 1, waiting: ["x"] }));
    expect(Date.now() - started).toBeGreaterThan(300);
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
  expect(await changesTo({ ...inputs, members: [member("a", "done", now), b] })).toEqual([
    "members.a.outcome.at",
  ]);
  expect(await changesTo({ ...inputs, members: [{ ...a, release: "0" }, b] })).toEqual(["members.a.release"]);
  expect(await changesTo({ ...inputs, members: [a] })).toEqual(["members.b"]);
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
