import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { cacheDir, dataDir, repoRoot } from "../../common/paths.ts";
import { declared } from "../builder/aws/testing/declared.ts";
import { AwsBuilder } from "../builder/aws-builder.ts";
import type { JobQueues } from "../builder/aws/job-queues.ts";
import { LocalBuilder } from "../builder/local-builder.ts";
import { SshBuilder } from "../builder/ssh-builder.ts";
import type { Manifest } from "../store/manifest.ts";
import { defaultStore } from "../store/open-store.ts";
import type { Builder } from "./builder.ts";
import type { StageJob } from "./job.ts";
import type { PlannedStage } from "./planned.ts";
import { Stage } from "./stage.ts";

const planned: PlannedStage = {
  ...{ name: "convert-base", stage: "convert", params: { type: "f16" }, inputs: { model: "fetch" } },
  ...{ key: "ab".repeat(32), inputKeys: { model: "cd".repeat(32) }, toolVersions: { numpy: "2" } },
  ...{ forRelease: false, artifact: { run: "r1" } as Manifest },
};
const machine = {
  ...{ address: "gpu", port: 22, user: "me", hostKey: "ssh-ed25519 AAAA" },
  privateKeyFile: "~/.ssh/id_ed25519",
};
const queues = {} as JobQueues;

/** The inputs of the command that a stage declares. */
async function inputsOf(builder: Builder, stage = planned): Promise<Record<string, unknown>> {
  const resources = await declared(() => {
    new Stage(stage.name, { stage, run: "r1", builder, store: defaultStore, upstream: [] });
  });
  return resources.find(({ type }) => type === "command:local:Command")?.inputs ?? {};
}

const builders: Record<string, Builder> = {
  "this machine": new LocalBuilder(),
  "a machine over SSH": new SshBuilder(machine),
  "EC2 instances": new AwsBuilder(
    { region: "us-east-1", stack: "home", queues, instances: {} },
    new LocalBuilder(),
  ),
};

describe("a stage's command", () => {
  const inputs = new Map<string, Record<string, unknown>>();
  beforeAll(async () => {
    for (const [name, builder] of Object.entries(builders)) inputs.set(name, await inputsOf(builder));
  });

  it.each(Object.keys(builders))("names no folder of the machine, on %s", (name) => {
    const text = JSON.stringify(inputs.get(name));
    for (const folder of [repoRoot, process.env.HOME ?? "~~", cacheDir(), dataDir()])
      expect(text).not.toContain(folder);
    expect(inputs.get(name)).not.toHaveProperty("dir");
  });

  it("is the same line on every builder, which starts the launcher from any folder of a clone", () => {
    const lines = [...inputs.values()].flatMap(({ create, update }) => [create, update]);
    expect(new Set(lines).size).toBe(1);
  });

  it("holds what the stage is, the store by its name, and how its builder is reached", () => {
    const job = (name: string) => JSON.parse(String(inputs.get(name)?.stdin)) as StageJob;
    const spec = {
      ...{ stage: "convert", name: "convert-base", key: planned.key, run: "r1", forRelease: false },
      ...{ params: { type: "f16" }, inputs: { model: "cd".repeat(32) }, toolVersions: { numpy: "2" } },
    };
    expect(job("this machine")).toEqual({ spec, store: "default" });
    expect(job("a machine over SSH")).toEqual({ spec, store: "default", builder: { ssh: machine } });
    expect(job("EC2 instances").builder?.aws).toEqual({
      ...{ stack: "home", queue: "home/build", region: "us-east-1" },
      groups: ["pipress-home-build-spot", "pipress-home-build-on-demand"],
    });
  });

  it("comes after the stages before it, the builder's machines, and what else has to have gone well", async () => {
    const resource = (name: string) => new command.local.Command(name, {});
    const resources = await declared(() => {
      const instances = { build: [resource("instance")], gpu: [resource("other")] };
      const builder = new AwsBuilder(
        { region: "us-east-1", stack: "home", queues, instances },
        new LocalBuilder(),
      );
      const shared = { run: "r1", builder, store: defaultStore };
      const upstream = new Stage("fetch", { ...shared, stage: planned, upstream: [] });
      new Stage("convert", {
        ...{ ...shared, stage: planned, upstream: [upstream] },
        after: [resource("preflight")],
      });
    });
    const commands = resources.filter(({ parent }) => parent === "fetch" || parent === "convert");
    expect(commands.map(({ name, parent, dependencies }) => [name, parent, dependencies])).toEqual([
      ["fetch", "fetch", ["Command instance"]],
      [
        "convert",
        "convert",
        expect.arrayContaining(["Command fetch", "Command instance", "Command preflight"]),
      ],
    ]);
    expect(commands[1]?.dependencies).not.toContain("Command other");
  });

  it("needs no machine of its own on this machine, and comes after nothing then", async () => {
    const resources = await declared(() => {
      new Stage("fetch", {
        stage: planned,
        run: "r1",
        builder: new LocalBuilder(),
        store: "s3://b/p",
        upstream: [],
      });
    });
    expect(resources.flatMap(({ dependencies }) => dependencies)).toEqual([]);
    expect(resources.map(({ inputs }) => inputs.stdin).join()).toContain('"store":"s3://b/p"');
  });

  it("does not get its previous output, and keeps no progress in the state", () => {
    for (const { addPreviousOutputInEnv, logging, environment } of inputs.values())
      expect([addPreviousOutputInEnv, logging, environment]).toEqual([false, "stderr", {}]);
  });

  it("gets the token in its environment alone, where the stage downloads", async () => {
    const builder = new LocalBuilder(pulumi.secret("hf_abc"));
    expect(JSON.stringify(await inputsOf(builder))).not.toContain("hf_abc");
    const fetching = await inputsOf(builder, { ...planned, stage: "fetch" });
    expect(String(fetching.stdin)).not.toContain("hf_abc");
    expect(JSON.stringify(fetching.environment)).toContain("hf_abc");
  });
});

describe("a stage's result", () => {
  /** What a stage has for those who use it, with a command that prints `stdout`. */
  async function resultOf(artifact: Manifest | undefined, stdout: string) {
    let stage: Stage | undefined;
    await declared(
      () => {
        stage = new Stage("convert", {
          ...{ stage: { ...planned, artifact }, run: "r1", builder: new LocalBuilder() },
          ...{ store: defaultStore, upstream: [] },
        });
      },
      { outputs: { "command:local:Command": { stdout } } },
    );
    return new Promise((resolve) => pulumi.all([stage?.key, stage?.result]).apply(resolve));
  }

  it("is the manifest in the store, before anything runs", async () => {
    expect(await resultOf({ run: "r1", seconds: 7 } as Manifest, "{")).toEqual([
      planned.key,
      { run: "r1", seconds: 7 },
    ]);
  });

  it("is what its command prints, where the store has none", async () => {
    expect(await resultOf(undefined, '{ "run": "r2" }')).toEqual([planned.key, { run: "r2" }]);
  });
});
