/**
 * The life of a stack whose stages run on AWS, on the real engine, with a stand-in for the AWS provider, for Auto Scaling and
 * for the instances: what they would make is made up here, on a real S3 server.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { instanceFor } from "../../infra/stage/instance-for.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { planModel } from "../../infra/prediction/forecast.ts";
import type { PlannedStage } from "../../infra/stage/planned.ts";
import { S3Store } from "../../infra/store/s3-store.ts";
import { rootCredentials, TestS3Server } from "../../infra/store/testing/s3-server.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import type { PlannedStep, Workspace } from "../e2e/workspace.ts";
import { makeWorkspace } from "./pulumi-home.ts";
import { makeUp } from "./stand-ins/artifacts.ts";
import { AutoScalingStandIn } from "./stand-ins/auto-scaling.ts";
import { InstanceStandIn } from "./stand-ins/instances.ts";

let s3: TestS3Server;
let autoscaling: AutoScalingStandIn;
let workspace: Workspace;
let store: S3Store;
let instances: InstanceStandIn;

beforeAll(async () => {
  Object.assign(process.env, rootCredentials);
  [s3, autoscaling] = await Promise.all([TestS3Server.start(), AutoScalingStandIn.start()]);
  store = new S3Store(s3.url("p"));
  workspace = await makeWorkspace(autoscaling);
  instances = new InstanceStandIn(store, autoscaling);
});

afterAll(async () => {
  await instances.stop();
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
  await Promise.all([s3.stop(), autoscaling.stop()]);
});

/** Sets the stack up for a recipe with changes, what runs on no instance being there already; returns its plan. */
async function configure(changes: Record<string, unknown> = {}, aws: object = {}): Promise<PlannedStage[]> {
  workspace.recipe({ ...config, ...changes });
  workspace.configure({
    recipe: workspace.recipeFile,
    store: s3.url("p"),
    builder: { aws: { region: "us-east-1", maxCostUsd: 20, ...aws } },
  });
  const plan = await planModel(loadRecipe(workspace.recipeFile), store, readToolchain());
  for (const stage of plan)
    if (instanceFor(stage) === undefined && stage.artifact === undefined)
      await makeUp(store, stage, "run-here");
  return plan;
}

/** Predicted before anything is fetched. */
const config = {
  "base.config": {
    ...{ hidden_size: 576, intermediate_size: 1536, num_hidden_layers: 30, num_attention_heads: 9 },
    ...{ num_key_value_heads: 3, vocab_size: 49152, tie_word_embeddings: true },
  },
};

const of = (steps: readonly PlannedStep[], op: string): string[] =>
  steps
    .filter((step) => step.op === op && /Instance$|JobQueue$|Group$|Network$/.test(step.type))
    .map(({ name }) => name)
    .sort();

const both = [
  "job-queue",
  "pipress-dev",
  "pipress-dev",
  "pipress-dev-build",
  "pipress-dev-build-spot",
  "pipress-dev-gpu",
  "pipress-dev-gpu-spot",
];

describe("a stack whose stages run on AWS", () => {
  it("shows instances and cost before anything exists, and refuses what costs more than it may", async () => {
    await configure();
    const { output, exitCode } = await workspace.pulumi("preview");
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/on AWS +instance +type +hours +spot +on demand/);
    expect(output).toMatch(/recover +gpu +g6e\.2xlarge/);
    expect(output).toMatch(/sum +\d+\.\d\d +\$\d+\.\d\d/);
    expect(of(await workspace.preview(), "create")).toEqual(both);
    await configure({}, { maxCostUsd: 0.01 });
    const refused = await workspace.pulumi("preview");
    expect(refused.exitCode).not.toBe(0);
    expect(refused.output).toMatch(/maxCostUsd: the plan is predicted to cost \$\d/);
  });

  it("runs every stage on its instance, and the next preview deletes the instances", async () => {
    const plan = await configure();
    const { output, exitCode } = await workspace.up();
    expect(exitCode, output).toBe(0);
    for (const stage of plan) expect(await store.manifest(stage.key), stage.name).toBeDefined();
    const on = Object.fromEntries(plan.map((stage) => [stage.name, instanceFor(stage)]));
    expect(Object.fromEntries(instances.worked)).toEqual(
      Object.fromEntries(Object.entries(on).filter(([, instance]) => instance !== undefined)),
    );
    expect([...autoscaling.capacity.keys()].sort()).toEqual(
      ["build", "gpu"].map((instance) => expect.stringMatching(`^pipress-dev-[0-9a-f]{8}-${instance}-spot$`)),
    );
    const next = await workspace.preview();
    expect(of(next, "delete")).toEqual(both);
    expect(next.filter(({ op }) => op !== "delete")).toEqual([]);
    await workspace.up();
    expect(await workspace.preview()).toEqual([]);
  });

  it("brings back the build instance alone for another quantization, both for another recovery", async () => {
    const build = ["job-queue", "pipress-dev", "pipress-dev", "pipress-dev-build", "pipress-dev-build-spot"];
    await configure({ "steps.quantize.type": "Q5_K_M" });
    expect(of(await workspace.preview(), "create")).toEqual(build);
    await configure({ "steps.recover.rank": 4 });
    expect(of(await workspace.preview(), "create")).toEqual(both);
  });

  it("brings back what makes an artifact that was removed from the bucket", async () => {
    const plan = await configure();
    const { key } = plan.find(({ name }) => name === "recover") ?? { key: "" };
    for (const item of await store.list()) if (item.key === key) await store.remove(item);
    const created = of(await workspace.preview(), "create");
    expect(created).toContain("pipress-dev-gpu-spot");
    expect(created).not.toContain("pipress-dev-build-spot");
  });

  it("touches no artifact when the stack is destroyed", async () => {
    const before = (await store.list()).filter(({ kind }) => kind === "artifact").length;
    const { exitCode, output } = await workspace.pulumi("destroy", "--yes", "--skip-preview");
    expect(exitCode, output).toBe(0);
    expect((await store.list()).filter(({ kind }) => kind === "artifact")).toHaveLength(before);
  });
});
