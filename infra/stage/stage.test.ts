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

  it("gets the token in its environment alone, where the stage downloads", async () => {
    const builder = new LocalBuilder(pulumi.secret("hf_abc"));
    expect(JSON.stringify(await inputsOf(builder))).not.toContain("hf_abc");
    const fetching = await inputsOf(builder, { ...planned, stage: "fetch" });
    expect(String(fetching.stdin)).not.toContain("hf_abc");
    expect(JSON.stringify(fetching.environment)).toContain("hf_abc");
  });
});
