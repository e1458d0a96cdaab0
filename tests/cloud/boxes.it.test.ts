/**
 * The life of a stack whose stages run on AWS, on the real engine, with a stand-in for the AWS provider, for Auto Scaling and
 * for the boxes: what they would make is made up here, on a real S3 server.
 *
 *   PIPRESS_IT=1 npx vitest run tests/cloud
 */
import { createServer, type Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { boxOf } from "../../infra/builder/aws/box-of.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { planStages, type PlannedStage } from "../../infra/plan/plan.ts";
import { S3Store } from "../../infra/store/s3-store.ts";
import { rootCredentials, s3ServerMissing, TestS3Server } from "../../infra/store/testing/s3-server.ts";
import { readToolchain } from "../../infra/toolchain.ts";
import { Workspace, type PlannedStep } from "../e2e/workspace.ts";
import { makePulumiHome } from "./pulumi-home.ts";

const wanted = process.env.PIPRESS_IT === "1" ? undefined : "only with PIPRESS_IT=1";
const missing = wanted ?? s3ServerMissing;

let s3: TestS3Server;
let autoscaling: AutoScaling;
let workspace: Workspace;
let store: S3Store;
let boxes: BoxStandIn;

beforeAll(async () => {
  if (missing !== undefined) return;
  Object.assign(process.env, rootCredentials);
  [s3, autoscaling] = await Promise.all([TestS3Server.start(), AutoScaling.start()]);
  process.env.AWS_ENDPOINT_URL_AUTO_SCALING = autoscaling.endpoint;
  store = new S3Store(s3.url("p"));
  workspace = new Workspace();
  const { env } = workspace as { env: NodeJS.ProcessEnv };
  env.PULUMI_HOME = makePulumiHome(join(workspace.dir, "pulumi-home"));
  env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
  await workspace.init();
  boxes = new BoxStandIn(store);
}, 60_000);

afterAll(async () => {
  if (missing !== undefined) return;
  boxes.stop();
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
  await Promise.all([s3.stop(), autoscaling.stop()]);
}, 120_000);

/** Sets the stack up for a recipe with changes, what runs on no box being there already; returns its plan. */
async function configure(changes: Record<string, unknown> = {}, aws: object = {}): Promise<PlannedStage[]> {
  workspace.recipe({ ...config, ...changes });
  workspace.configure({
    recipe: workspace.recipeFile,
    store: s3.url("p"),
    builder: { aws: { region: "us-east-1", maxCostUsd: 20, ...aws } },
  });
  const plan = await planStages(loadRecipe(workspace.recipeFile), store, readToolchain());
  for (const stage of plan)
    if (boxOf(stage) === undefined && stage.artifact === undefined) await makeUp(store, stage, "run-here");
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
    .filter((step) => step.op === op && /Box$|Group$|Network$/.test(step.type))
    .map(({ name }) => name)
    .sort();

const both = [
  "pipress-dev",
  "pipress-dev",
  "pipress-dev-build",
  "pipress-dev-build-spot",
  "pipress-dev-gpu",
  "pipress-dev-gpu-spot",
];

describe.skipIf(missing)("a stack whose stages run on AWS", { timeout: 180_000 }, () => {
  it("shows boxes and cost before anything exists, and refuses what costs more than it may", async () => {
    await configure();
    const { output, exitCode } = await workspace.pulumi("preview");
    expect(exitCode, output).toBe(0);
    expect(output).toMatch(/on AWS +box +type +hours +spot +on demand/);
    expect(output).toMatch(/recover +gpu +g6e\.2xlarge/);
    expect(output).toMatch(/sum +\d+\.\d\d +\$\d+\.\d\d/);
    expect(of(await workspace.preview(), "create")).toEqual(both);
    await configure({}, { maxCostUsd: 0.01 });
    const refused = await workspace.pulumi("preview");
    expect(refused.exitCode).not.toBe(0);
    expect(refused.output).toMatch(/maxCostUsd: the plan is predicted to cost \$\d/);
  });

  it("runs every stage on its box, and the next preview deletes the boxes", async () => {
    const plan = await configure();
    const { output, exitCode } = await workspace.up();
    expect(exitCode, output).toBe(0);
    for (const stage of plan) expect(await store.manifest(stage.key), stage.name).toBeDefined();
    const on = Object.fromEntries(plan.map((stage) => [stage.name, boxOf(stage)]));
    expect(Object.fromEntries(boxes.worked)).toEqual(
      Object.fromEntries(Object.entries(on).filter(([, box]) => box !== undefined)),
    );
    expect([...autoscaling.asked].sort()).toEqual(["pipress-dev-build-spot", "pipress-dev-gpu-spot"]);
    const next = await workspace.preview();
    expect(of(next, "delete")).toEqual(both);
    expect(next.filter(({ op }) => op !== "delete")).toEqual([]);
    await workspace.up();
    expect(await workspace.preview()).toEqual([]);
  });

  it("brings back the build box alone for another quantization, both for another recovery", async () => {
    const build = ["pipress-dev", "pipress-dev", "pipress-dev-build", "pipress-dev-build-spot"];
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

/** Writes an artifact that no stage made: one small file, and a manifest that names it. */
async function makeUp(
  into: S3Store,
  { key, stage, name, params, inputKeys }: PlannedStage,
  run: string,
): Promise<void> {
  const attempt = key.slice(0, 16);
  const content = Buffer.from(name);
  const { createHash } = await import("node:crypto");
  const file = { sha256: createHash("sha256").update(content).digest("hex"), bytes: content.length };
  const manifest = {
    ...{
      schema: 1,
      key,
      stage,
      name,
      run,
      params,
      inputs: inputKeys,
      files: { "model.gguf": file },
      attempt,
    },
    ...{ metrics: {}, toolVersions: {}, createdAt: "2026-01-01T00:00:00+00:00", seconds: 1, costUsd: 0.01 },
  };
  await into.put(`artifacts/${key}/${attempt}/model.gguf`, content);
  await into.put(`artifacts/${key}/manifest.json`, Buffer.from(JSON.stringify(manifest)));
}

/** Stands in for boxes: takes jobs from their desks and makes artifacts up. */
class BoxStandIn {
  /** Which box worked on each stage, by name. */
  readonly worked = new Map<string, string>();
  private readonly ended = new AbortController();

  constructor(private readonly bucket: S3Store) {
    void this.work();
  }

  stop(): void {
    this.ended.abort();
  }

  private async work(): Promise<void> {
    while (!this.ended.signal.aborted) {
      for (const box of ["gpu", "build"])
        for (const path of await this.bucket.paths(`boxes/dev/${box}/jobs/`)) await this.take(box, path);
      await sleep(300);
    }
  }

  private async take(box: string, path: string): Promise<void> {
    const job = JSON.parse((await this.bucket.text(path)) ?? "{}") as {
      submission: string;
      spec: PlannedStage & { run: string; inputs: Record<string, string> };
    };
    await makeUp(this.bucket, { ...job.spec, inputKeys: job.spec.inputs }, job.spec.run);
    const status = {
      submission: job.submission,
      key: job.spec.key,
      state: "done",
      line: "",
      at: Date.now() / 1000,
    };
    await this.bucket.put(path.replace("/jobs/", "/status/"), Buffer.from(JSON.stringify(status)));
    await this.bucket.drop(path);
    this.worked.set(job.spec.name, box);
  }
}

/** Stands in for the API of Auto Scaling: two groups that do as they are told. */
class AutoScaling {
  readonly asked = new Set<string>();

  private constructor(
    readonly endpoint: string,
    private readonly server: Server,
  ) {}

  static async start(): Promise<AutoScaling> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const made = new AutoScaling(`http://127.0.0.1:${port}`, server);
    server.on("request", (request, response) => {
      let body = "";
      request.on("data", (chunk: Buffer) => (body += chunk.toString()));
      request.on("end", () =>
        response.setHeader("Content-Type", "text/xml").end(made.answer(new URLSearchParams(body))),
      );
    });
    return made;
  }

  private answer(call: URLSearchParams): string {
    const action = call.get("Action") ?? "";
    if (action === "SetDesiredCapacity") this.asked.add(call.get("AutoScalingGroupName") ?? "");
    const names = [...call.entries()]
      .filter(([key]) => key.startsWith("AutoScalingGroupNames."))
      .map(([, name]) => name);
    const groups = names.map((name) => {
      const capacity = this.asked.has(name) ? 1 : 0;
      return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><DesiredCapacity>${capacity}</DesiredCapacity><Tags/></member>`;
    });
    const inner =
      action === "DescribeAutoScalingGroups"
        ? `<AutoScalingGroups>${groups.join("")}</AutoScalingGroups>`
        : "<Activities/>";
    return `<${action}Response><${action}Result>${inner}</${action}Result></${action}Response>`;
  }

  async stop(): Promise<void> {
    await new Promise((resolve) => this.server.close(resolve));
  }
}
