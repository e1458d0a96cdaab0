import { describe, expect, test } from "vitest";
import type { Call } from "../../plugin/handler.ts";
import { unknown } from "../../plugin/values.ts";
import { hostKey } from "../../ssh/testing/host-key.ts";
import { makeKey, sshdMissing, startSshd } from "../../ssh/testing/sshd.ts";
import { diffPlaybook, playbookResource } from "./playbook-resource.ts";

const sha256 = "a".repeat(64);
const inputs = {
  playbook: "package.json",
  contentDigest: "1",
  host: { name: "pi-0", address: "10.0.0.7", port: 22, user: "pi", hostKey: "ssh-ed25519 AAAA" },
  vars: { pipress_release: { settings: { contextLength: 2048 } } },
  secretVars: { pipress_api_keys: ["x"] },
  files: [{ sha256, bytes: 1, source: "llama-server" }],
};

test("a changed variable is named, and the play runs again in place", () => {
  const news = { ...inputs, vars: { pipress_release: { settings: { contextLength: 4096 } } } };
  expect(diffPlaybook(inputs, {}, news).changes).toEqual({
    "vars.pipress_release.settings.contextLength": { kind: "update" },
  });
});

test("another source of the same file, or another key to get in, changes nothing on the host", () => {
  const news = {
    ...inputs,
    files: [{ sha256, bytes: 1, source: { store: "default", key: sha256, file: "model.gguf" } }],
    host: { ...inputs.host, privateKeyFile: "/key" },
  };
  expect(diffPlaybook(inputs, { drift: [] }, news).changes).toEqual({});
});

test("another key is another host, another name or address is not; a key that preview does not know yet decides nothing", () => {
  const changed = (host: unknown) => diffPlaybook(inputs, {}, { ...inputs, host }).changes;
  const key = { kind: "update", replace: true };
  expect(changed({ ...inputs.host, hostKey: "ssh-ed25519 BBBB" })).toEqual({ "host.hostKey": key });
  expect(changed({ ...inputs.host, name: "kitchen", address: "10.0.0.8" })).toEqual({
    "host.name": { kind: "update" },
    "host.address": { kind: "update" },
  });
  expect(changed({ ...inputs.host, hostKey: unknown })).toEqual({ "host.hostKey": { kind: "update" } });
});

test("drift that a refresh found is a difference of its own", () => {
  const { changes } = diffPlaybook(inputs, { drift: ["server: unit file"] }, inputs);
  expect(changes).toEqual({ drift: { kind: "delete", input: false } });
});

test("what this end makes of a failure changes nothing on the host", () => {
  const news = {
    ...inputs,
    failures: "report",
    unreachable: "skip",
    concurrency: 3,
    bytesPerSecond: 1000,
    routeVars: { a: 1 },
  };
  expect(diffPlaybook(inputs, { drift: [] }, news).changes).toEqual({});
});

test("nor does another password of sudo; another secret of the play's does", () => {
  const withSecrets = (secretVars: Record<string, string>) => ({ ...inputs, secretVars });
  const before = withSecrets({ ansible_become_password: "old", key: "1" });
  const changesTo = (news: Record<string, string>) =>
    diffPlaybook(before, { drift: [] }, withSecrets(news)).changes;
  expect(changesTo({ ansible_become_password: "new", key: "1" })).toEqual({});
  expect(changesTo({ ansible_become_password: "old", key: "2" })).not.toEqual({});
});

describe("a host that does not answer", () => {
  // A port of this machine that nothing listens on; the play never begins.
  const down = { ...inputs, host: { ...inputs.host, address: "127.0.0.1", port: 1 }, files: [] };
  const warned: string[] = [];
  const note = (message: string): void => void warned.push(message);
  const log = { status: () => undefined, warn: note };
  const running = { name: "pi-0", log, signal: new AbortController().signal } as unknown as Call;

  test("fails where nobody judges the outcome", async () => {
    await expect(playbookResource.create(down, running)).rejects.toThrow(/^pi-0: unreachable/);
  });

  test("is reported as failed or skipped, and is for the next up in either case", async () => {
    const failed = await playbookResource.create({ ...down, failures: "report" }, running);
    expect(failed.state).toMatchObject({ results: {}, outcome: { status: "failed" } });
    const before = { results: { release: "old" }, recap: { tasks: 3 }, drift: [] };
    const existing = { id: "pi-0", inputs: down, state: before };
    const skipped = await playbookResource.update?.(existing, { ...down, unreachable: "skip" }, running);
    expect(skipped).toMatchObject({ results: { release: "old" }, outcome: { status: "skipped" } });
    expect(warned.at(-1)).toMatch(/^pi-0: unreachable.*; skipped until the next `up`$/);
    expect(diffPlaybook(down, skipped ?? {}, down).changes).toHaveProperty("drift");
  });
});

describe("a removal", () => {
  const warned: string[] = [];
  const note = (message: string): void => void warned.push(message);
  const log = { status: () => undefined, warn: note };
  const call = { name: "pi-0", log, signal: new AbortController().signal } as unknown as Call;
  const remove = (host: object) =>
    playbookResource.delete?.(
      {
        id: "pi-0",
        inputs: {
          ...{ ...inputs, host: { ...inputs.host, address: "127.0.0.1", port: 1, ...host } },
          ...{ removal: "ansible/remove.yml", leftBehind: "the model in /var/lib/pipress" },
        },
        state: {},
      },
      call,
    );

  test("passes over a host that does not answer, and names what stays there", async () => {
    await remove({});
    expect(warned).toEqual([
      "pi-0: unreachable: nothing listens on 127.0.0.1:1; nothing was removed there, and it keeps the model in /var/lib/pipress",
    ]);
  });

  test.skipIf(sshdMissing)(
    "fails where the host answers and lets nobody in, instead of forgetting what serves there",
    { timeout: 60_000 },
    async () => {
      const sshd = await startSshd();
      try {
        const { path } = await makeKey(sshd.folder, "stranger");
        await expect(remove({ ...sshd.host, privateKeyFile: path })).rejects.toThrow(
          "does not accept the key",
        );
        warned.length = 0;
        await remove({ ...sshd.host, hostKey });
        expect(warned.join()).toMatch(
          /^pi-0: wrong host key: .*; nothing was removed there, and it keeps the model/,
        );
      } finally {
        await sshd.remove();
      }
    },
  );
});

test("drift that a refresh did not find is no difference", () => {
  expect(diffPlaybook(inputs, { drift: [] }, inputs).changes).toEqual({});
  expect(diffPlaybook(inputs, {}, inputs).changes).toEqual({});
});

test("what preview does not know yet is a difference as it is", () => {
  expect(diffPlaybook(inputs, {}, { ...inputs, host: unknown }).changes).toEqual({
    host: { kind: "update" },
  });
  expect(diffPlaybook(inputs, {}, { ...inputs, files: unknown }).changes).toEqual({
    files: { kind: "update" },
  });
  const removed = diffPlaybook(inputs, {}, { ...inputs, files: [] }).changes;
  expect(Object.keys(removed)).not.toEqual([]);
});

test("what may be left out is filled in", () => {
  const { playbook, contentDigest } = inputs;
  const given = { playbook, contentDigest, host: { ...inputs.host, hostKey } };
  expect(playbookResource.check?.(given)).toEqual({
    inputs: {
      ...{ ...given, vars: {}, routeVars: {}, secretVars: {}, files: [] },
      ...{ failures: "throw", unreachable: "fail", concurrency: 10 },
    },
  });
  const chosen = {
    ...{ removal: "ansible/remove.yml", leftBehind: "the model", contentDigest: "c0ffee" },
    ...{ failures: "report", unreachable: "skip", concurrency: 1000, bytesPerSecond: 5e6 },
  };
  const { inputs: taken, failures } = playbookResource.check?.({ ...given, ...chosen }) ?? {};
  expect([taken, failures]).toMatchObject([chosen, undefined]);
});

test("every illegal input is reported at once, by property path", async () => {
  const bad = {
    ...inputs,
    playbook: "no/such.yml",
    host: { ...inputs.host, port: 0, hostKey: "AAAA" },
    files: [{ sha256: "abc", bytes: -1, source: "elsewhere" }],
    ...{ removal: "no/such.yml", contentDigest: "", concurrency: 0, bytesPerSecond: 0 },
    ...{ failures: "ignore", unreachable: "wait", more: 1 },
  };
  const { failures } = playbookResource.check?.(bad) ?? {};
  expect(failures?.map(({ property }) => property).sort()).toEqual([
    "bytesPerSecond",
    "concurrency",
    "contentDigest",
    "failures",
    "files[0].bytes",
    "files[0].sha256",
    "files[0].source",
    "host.hostKey",
    "host.port",
    "more",
    "playbook",
    "removal",
    "unreachable",
  ]);
});
