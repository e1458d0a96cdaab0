/** What a rollout declares: which play waits for which, and what each is given. Nothing runs; tests/fleet rolls out. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, test } from "vitest";
import type { Toolchain } from "../../../toolchain/toolchain.ts";
import { declared, type Declared } from "../../builder/aws/testing/declared.ts";
import { endpointSchema } from "../../config/host-schema.ts";
import type { HostConfig } from "../../config/hosts.ts";
import { rolloutSchema } from "../../config/rollout-schema.ts";
import { hostKey } from "../../ssh/testing/host-key.ts";
import { makeHost } from "../host.ts";
import { makeRelease } from "../release.ts";
import { Rollout, type RolloutArgs } from "./rollout.ts";
import { server, settings } from "../../config/testing/settings.ts";

const folder = mkdtempSync(join(tmpdir(), "pipress-rollout-"));
const sourceArchive = join(folder, "source.tar.gz");
writeFileSync(sourceArchive, "source");
const [model, serverDigest, source] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [
  string,
  string,
  string,
];
const toolchain = {
  llamaCpp: {
    ...{ version: "b1", sourceSha256: source, sourceArchive },
    release: { files: { "llama-server": { sha256: serverDigest, bytes: 4, path: "/llama-server" } } },
  },
  virtualPiImage: { digest: "image" },
} as unknown as Toolchain;
const modelFile = { store: "default", key: "d".repeat(64), file: "model.gguf" };
function host(name: string, changes: Partial<HostConfig> = {}): HostConfig {
  return {
    machine: { name, address: `${name}.lan`, port: 22, user: "pi", hostKey },
    ...{ ...settings, name, ...changes },
  };
}

function virtualHost(name: string): HostConfig {
  return { ...settings, name, virtual: { memory: 2 ** 31, cpus: 2, disk: 2 ** 34 } };
}

type Changes = Partial<Omit<RolloutArgs, "steps" | "hosts">> & { steps?: object; formerNames?: string[] };

/** What a rollout to hosts declares. */
function rollOut(hosts: readonly HostConfig[], { steps = {}, formerNames, ...changes }: Changes = {}) {
  const outcome = { status: "done", at: 1 };
  const virtual = { address: "127.0.0.1", sshPort: 2222, user: "pi", hostKey, ports: { http: 8080 } };
  const release = makeRelease({
    name: "tiny",
    model: { sha256: model, bytes: 7 },
    server: { sha256: serverDigest, bytes: 4 },
    ...{ settings: server, memoryMax: 1, smokeTest: { prompt: "p", expect: "e", maxTokens: 8 } },
  });
  return declared(
    () => {
      const made = hosts.map((config) => makeHost(config, {}, toolchain, "home-1"));
      new Rollout(
        "fleet",
        {
          ...{
            hosts: made,
            fleet: made,
            fleetSize: made.length,
            owner: { project: "pipress", stack: "home", id: "1" },
            renamed: new Map(),
          },
          ...{ steps: rolloutSchema.parse(steps), releaseOf: () => pulumi.output(release), modelFile },
          ...{ apiKey: pulumi.secret("sk-1234567"), monitoring: false, toolchain, ...changes },
        },
        formerNames,
      );
    },
    { outputs: { "pipress:index:Playbook": { outcome }, "pipress:index:VirtualPi": virtual } },
  );
}

const fleet = ["a", "b", "c", "d"].map((name) => host(name));
/** Waves of one, one and two hosts. */
const steps = { canary: 1, steps: [2], soak: "1 minute", maxFailures: "50 %", concurrency: 3 };

function one(resources: readonly Declared[], name: string): Declared {
  const [resource, ...more] = resources.filter((other) => other.name === name);
  if (resource === undefined || more.length > 0) throw new Error(`${1 + more.length} or no ${name}`);
  return resource;
}

/** What comes before a resource, the rollout itself left out. */
const after = (resources: readonly Declared[], name: string) => one(resources, name).dependencies;
const varsOf = (resources: readonly Declared[], name: string) =>
  one(resources, name).inputs.vars as Record<string, unknown>;
const routeOf = (resources: readonly Declared[], name: string) =>
  one(resources, name).inputs.routeVars as Record<string, unknown>;

test("a part of a fleet has waves of its own, and its hosts the resources that they have in a rollout to all", async () => {
  const part = await rollOut(fleet.slice(0, 1), { steps, fleetSize: 4, prefix: "part-" });
  expect(after(part, "part-staged")).toEqual(["Playbook a-staged"]);
  expect(after(part, "a")).toEqual(["Wave part-staged"]);
  const whole = await rollOut(fleet, { steps });
  for (const name of ["a", "a-staged"]) expect(one(part, name).inputs).toEqual(one(whole, name).inputs);
});

test("hosts whose server shows the web page get it, and no others", async () => {
  const page = { path: "/cache/index.html", sha256: "e".repeat(64), bytes: 9, seconds: 60 };
  const hosts = [host("a", { server: { ...server, ui: true } }), host("b")];
  const resources = await rollOut(hosts, { page });
  const pagesOf = (name: string) =>
    (one(resources, name).inputs.files as { source: unknown }[]).filter(
      ({ source }) => source === "web-page",
    );
  for (const name of ["a", "a-staged"])
    expect(pagesOf(name)).toEqual([{ sha256: page.sha256, bytes: 9, source: "web-page" }]);
  expect(pagesOf("b")).toEqual([]);
});

describe("a rollout in waves", () => {
  let resources: Declared[];
  beforeAll(async () => {
    resources = await rollOut(fleet, { steps });
  });

  test("each wave ends when all its hosts have been played on, and the next one waits for that", () => {
    expect(after(resources, "wave-1")).toEqual(["Playbook a"]);
    expect(after(resources, "wave-2")).toEqual(["Playbook b"]);
    expect(after(resources, "wave-3")).toEqual(["Playbook c", "Playbook d"]);
    expect(after(resources, "b")).toEqual(["Wave wave-1"]);
    expect(after(resources, "c")).toEqual(["Wave wave-2"]);
    expect(after(resources, "d")).toEqual(["Wave wave-2"]);
  });

  test("all hosts have fetched the release, each as soon as it likes, before the first is switched", () => {
    for (const { name } of fleet) expect(after(resources, `${name}-staged`)).toEqual([]);
    expect(after(resources, "staged")).toEqual(fleet.map(({ name }) => `Playbook ${name}-staged`));
    expect(after(resources, "a")).toEqual(["Wave staged"]);
  });

  test("a wave knows its hosts, what they are to serve, how they fared, and who is before and behind it", () => {
    const { members, ...wave } = one(resources, "wave-2").inputs as { members: object[] };
    const { digest } = varsOf(resources, "b").pipress_release as { digest: string };
    expect(members).toEqual([
      {
        host: { name: "b", address: "b.lan", port: 22, user: "pi", hostKey },
        ...{ release: digest, outcome: { status: "done", at: 1 } },
        vars: { pipress_digest: digest, pipress_port: server.port },
      },
    ]);
    expect(wave).toEqual({
      ...{ probe: "ansible/probe.yml", concurrency: 3, soakSeconds: 60, maxFailures: 0 },
      ...{ served: ["a"], waiting: ["c", "d"] },
    });
  });

  test("the last wave does not soak, and a threshold is a share of a wave's own hosts", () => {
    expect(one(resources, "wave-3").inputs).toMatchObject({ soakSeconds: 0, maxFailures: 1, waiting: [] });
    expect(one(resources, "wave-3").inputs.served).toEqual(["a", "b"]);
    expect(one(resources, "wave-1").inputs).toMatchObject({ served: [], waiting: ["b", "c", "d"] });
  });

  test("hosts that only fetch are judged as one wave, without a soak or a probe's variables", () => {
    const { members, ...wave } = one(resources, "staged").inputs as { members: { host: object }[] };
    expect(wave).toEqual({
      ...{ staging: true, maxFailures: 2, soakSeconds: 0, concurrency: 3, probe: "ansible/probe.yml" },
    });
    expect(members.map(({ host }) => (host as { name: string }).name)).toEqual(["a", "b", "c", "d"]);
    expect(Object.keys(members[0] ?? {}).sort()).toEqual(["host", "outcome", "release"]);
  });

  test("all of it belongs to the rollout", () => {
    for (const { name, parent } of resources.filter(({ type }) => type.startsWith("pipress:index")))
      expect(parent, name).toBe("fleet");
  });

  test("fetching removes nothing and needs no secret; a host's own play does its removal and knows the API key", () => {
    const staged = one(resources, "a-staged").inputs;
    expect(staged.playbook).toBe("ansible/stage.yml");
    expect(staged).not.toHaveProperty("removal");
    expect(JSON.stringify(staged)).not.toContain("sk-1234567");
    expect(one(resources, "a").inputs).toMatchObject({
      ...{ playbook: "ansible/site.yml", removal: "ansible/remove.yml", failures: "report" },
      ...{ unreachable: "fail", concurrency: 3 },
    });
    expect(one(resources, "a").inputs.leftBehind).toContain("/var/lib/pipress");
    expect(JSON.stringify(one(resources, "a").inputs.secretVars)).toContain("sk-1234567");
  });

  test("a play is given the stack, the release, and the files that the host pulls", () => {
    expect(varsOf(resources, "c")).toMatchObject({
      ...{
        pipress_owner: { project: "pipress", stack: "home", id: "1", name: "c" },
        pipress_build: "prebuilt",
      },
      ...{ pipress_virtual: false, pipress_monitoring: false, pipress_balancer: "" },
      ...{ pipress_llama_cpp_version: "b1", pipress_source: { sha256: source, bytes: 6 } },
    });
    expect(one(resources, "c").inputs.files).toEqual([
      { sha256: serverDigest, bytes: 4, source: "llama-server" },
      { sha256: model, bytes: 7, source: modelFile },
    ]);
  });

  test("what is off leaves no variable, so that to have it later is a change then and not before", () => {
    for (const name of [
      "pipress_prepare",
      "pipress_peer_port",
      "pipress_agent_port",
      "pipress_drain_seconds",
    ])
      expect(varsOf(resources, "c")).not.toHaveProperty(name);
    expect(routeOf(resources, "c")).toEqual({ pipress_peers: [], pipress_take_over: false });
    expect(one(resources, "c").aliases).toEqual([]);
    expect(one(resources, "c").deletedWith).toBe("");
  });
});

describe("a rollout", () => {
  test.each([
    ["without prefetch", fleet, { ...steps, prefetch: false }],
    ["to one host", fleet.slice(0, 1), steps],
  ])("%s begins with the switch of the first host", async (_, hosts, steps) => {
    const resources = await rollOut(hosts, { steps });
    expect(resources.map(({ name }) => name)).not.toContain("staged");
    expect(resources.map(({ name }) => name).join()).not.toContain("-staged");
    expect(after(resources, "a")).toEqual([]);
  });

  test("peer to peer goes in the order of the waves: who fetches asks those that have it already", async () => {
    const resources = await rollOut(fleet, { steps: { ...steps, peerToPeer: true } });
    expect(after(resources, "a-staged")).toEqual([]);
    expect(after(resources, "b-staged")).toEqual(["Playbook a-staged"]);
    expect(after(resources, "d-staged")).toEqual(["Playbook b-staged"]);
    const peers = ["a", "b", "c", "d"].map((name) => routeOf(resources, `${name}-staged`).pipress_peers);
    expect(peers).toEqual([[], ["a.lan:9112"], ["a.lan:9112", "b.lan:9112"], ["b.lan:9112", "a.lan:9112"]]);
    expect(routeOf(resources, "c").pipress_peers).toEqual(["a.lan:9112", "b.lan:9112"]);
    expect(varsOf(resources, "a").pipress_peer_port).toBe(9112);
  });

  test("an endpoint has hosts drain, and let its address in", async () => {
    const endpoint = endpointSchema.parse({
      host: { name: "gate", address: "10.0.0.1", hostKey },
      drainTimeout: "30 s",
    });
    const resources = await rollOut(fleet, { endpoint, monitoring: true });
    expect(varsOf(resources, "a")).toMatchObject({
      ...{ pipress_agent_port: 9111, pipress_drain_seconds: 30, pipress_balancer: "10.0.0.1" },
      pipress_monitoring: true,
    });
  });

  test("a host's own settings reach its own play: build, preparation, taking over, what it means to be down, sudo", async () => {
    const other = { build: "onDevice", prepare: true, takeOver: true, unreachable: "skip" } as const;
    const own = host("b", { ...other, sudoPassword: "battery" });
    const resources = await rollOut([host("a"), own], { steps: { bandwidth: "5 MB" } });
    for (const name of ["b", "b-staged"]) {
      expect(varsOf(resources, name)).toMatchObject({ pipress_build: "onDevice", pipress_prepare: true });
      expect(routeOf(resources, name).pipress_take_over).toBe(true);
      const { files, secretVars, ...inputs } = one(resources, name).inputs;
      expect(inputs).toMatchObject({ unreachable: "skip", bytesPerSecond: 5_000_000 });
      expect((files as object[])[0]).toEqual({ sha256: source, bytes: 6, source: "llama.cpp" });
      expect(JSON.stringify(secretVars)).toContain("battery");
    }
    const membersOf = (wave: string) => JSON.stringify(one(resources, wave).inputs.members);
    expect(membersOf("wave-2")).toContain("battery");
    expect(membersOf("wave-1")).not.toContain("secretVars");
    expect(JSON.stringify(one(resources, "a").inputs)).not.toContain("battery");
  });

  test("a virtual host is made before it is played on, and its end is the end of what runs on it", async () => {
    const resources = await rollOut([virtualHost("a"), virtualHost("b")], {
      steps: { ...steps, peerToPeer: true },
    });
    for (const name of ["a-staged", "a"]) {
      expect(
        one(
          resources.filter(({ type }) => !type.endsWith("VirtualPi")),
          name,
        ),
      ).toMatchObject({
        deletedWith: "a",
        dependencies: expect.arrayContaining(["VirtualPi a"]) as string[],
      });
    }
    // From inside it, another one's ports are this machine's.
    const staged = routeOf(resources, "b-staged");
    expect(staged.pipress_peers).toEqual(["10.0.2.2:9112"]);
    expect(varsOf(resources, "b-staged").pipress_virtual).toBe(true);
  });

  test("a renamed host, and a rollout of another name, are known by what they were called", async () => {
    const resources = await rollOut(fleet.slice(0, 2), {
      renamed: new Map([["a", "old"]]),
      formerNames: ["smollm2-135m"],
    });
    expect(one(resources, "a").aliases).toEqual(["old"]);
    expect(one(resources, "a-staged").aliases).toEqual(["old-staged"]);
    expect(one(resources, "b").aliases).toEqual([]);
    expect(one(resources, "fleet").aliases).toEqual(["smollm2-135m"]);
    expect((await rollOut(fleet)).find(({ name }) => name === "fleet")?.aliases).toEqual([]);
  });
});
