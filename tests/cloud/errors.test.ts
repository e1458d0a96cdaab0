/**
 * What a user sees on the real engine when the bucket or AWS refuses: one clear error each, that says what to do. The S3 server
 * is a real one; AWS's provider and Auto Scaling are stand-ins.
 */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { planModel } from "../../infra/prediction/forecast.ts";
import type { PlannedStage } from "../../infra/stage/planned.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { S3Store } from "../../infra/store/s3-store.ts";
import { rootCredentials, TestS3Server } from "../../infra/store/testing/s3-server.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { expectClearError } from "../e2e/scenario.ts";
import type { Outcome, Workspace } from "../e2e/workspace.ts";
import { makeWorkspace } from "./pulumi-home.ts";
import { madeUpFile, makeUp } from "./stand-ins/artifacts.ts";
import { AutoScalingStandIn } from "./stand-ins/auto-scaling.ts";

let s3: TestS3Server;
let autoscaling: AutoScalingStandIn;
let workspace: Workspace;
const builder = { aws: { region: "us-east-1", maxCostUsd: 20 } };

beforeAll(async () => {
  Object.assign(process.env, rootCredentials);
  [s3, autoscaling] = await Promise.all([TestS3Server.start(), AutoScalingStandIn.start()]);
  workspace = await makeWorkspace(autoscaling);
  workspace.recipe({});
});

afterEach(() => {
  Object.assign(workspace.env, rootCredentials);
});

afterAll(async () => {
  workspace.remove();
  await Promise.all([s3.stop(), autoscaling.stop()]);
});

/** Runs `pulumi` on a stack with its store at `store`, and expects it to fail with one clear error. */
async function expectError(
  run: () => Promise<Outcome>,
  stack: Record<string, unknown>,
  ...words: (string | RegExp)[]
): Promise<void> {
  workspace.configure({ recipe: workspace.recipeFile, ...stack });
  const { exitCode, output } = await run();
  expect(exitCode, output).not.toBe(0);
  expectClearError(output, ...words);
}

const preview = () => workspace.pulumi("preview");
const up = () => workspace.up();

/** A store in which every stage's artifact lies but that of one, made up; and that stage. */
async function allBut(name: string): Promise<{ store: S3Store; plan: PlannedStage[]; stage: PlannedStage }> {
  const store = new S3Store(s3.url(name));
  const plan = await planModel(loadRecipe(workspace.recipeFile), store, readToolchain());
  for (const planned of plan) if (planned.name !== name) await makeUp(store, planned, "made-up");
  const stage = plan.find((planned) => planned.name === name);
  if (stage === undefined) throw new Error(`the recipe has no stage ${name}`);
  return { store, plan, stage };
}

describe("a bucket that refuses", () => {
  it("because it is not there", async () => {
    const store = s3.url("p", "nowhere");
    await expectError(preview, { store }, /there is no bucket nowhere — make it, or mend `store`/);
  });

  it("because the user may not read it, or may only read it", async () => {
    Object.assign(workspace.env, await s3.addUser("stranger", "s3:PutObject"));
    const store = s3.url("p");
    await expectError(preview, { store }, /the credentials may not do s3:GetObject on s3:.* — grant it/);
    Object.assign(workspace.env, await s3.addUser("reader", "s3:GetObject", "s3:ListBucket"));
    const { store: almost, stage } = await allBut("prune");
    await expectError(
      up,
      { store: almost.url, builder },
      /the credentials may not do s3:PutObject on s3:\/\/artifacts\/prune\/boxes\/dev-[0-9a-f]{8}\/source\/.* — grant it/,
    );
    expect(await almost.manifest(stage.key)).toBeUndefined();
  });

  it("because the credentials have expired", async () => {
    const { endpoint, server } = await refuseEverything(400, "ExpiredToken");
    const store = `s3://artifacts/p?endpoint=${endpoint}&region=us-east-1`;
    await expectError(preview, { store }, /the credentials have expired — sign in again/);
    server.close();
  });
});

describe("an object that is not what the manifest says", () => {
  it.each([
    [
      "corrupted",
      (content: string) => content.replace(/./g, "x"),
      /is damaged: its SHA-256 is [0-9a-f]{12}…/,
    ],
    ["cut short", (content: string) => content.slice(1), /is damaged: \d bytes instead of \d/],
  ])("because it was %s is used by no stage", async (_, damage, message) => {
    const { store, plan, stage } = await allBut("quantize");
    const made = plan.find(({ key }) => key === stage.inputKeys["model"]);
    const key = made?.key ?? "";
    await store.put(madeUpFile(key), Buffer.from(damage(made?.name ?? "")));
    const remedy = `run \`./pipress store rm ${key.slice(0, 12)} --store '${store.url}' --yes\`, then \`up\` again`;
    await expectError(up, { store: store.url }, message, remedy);
    expect(await store.manifest(stage.key)).toBeUndefined();
  });
});

describe("AWS that starts no instance", () => {
  const cases: [string, string[], RegExp][] = [
    [
      "because the quota is zero",
      ["VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 0 allows"],
      /AWS lets this account start no such instance: VcpuLimitExceeded.* — ask for a higher quota of vCPUs .* G and VT instances \(Service Quotas/,
    ],
    [
      "because there is no spot capacity anywhere",
      Array<string>(2).fill(
        "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity.",
      ),
      /AWS has no such instance free in any zone: .* — name more types in builder\.aws, set its onDemand: true, or run `up` again later; the job waits/,
    ],
  ];
  it.each(cases)("%s", async (_, failures, message) => {
    const { store, stage } = await allBut("recover");
    autoscaling.failures = failures;
    await expectError(up, { store: store.url, builder }, message);
    expect([...autoscaling.capacity].find(([name]) => name.endsWith("-gpu-spot"))?.[1]).toBe(0);
    expect(await store.manifest(stage.key)).toBeUndefined();
  });
});

/** An S3 server that refuses every request with the same error. */
async function refuseEverything(status: number, code: string): Promise<{ endpoint: string; server: Server }> {
  const server = createServer((request, response) => {
    request.resume();
    response
      .writeHead(status, { "Content-Type": "application/xml" })
      .end(`<Error><Code>${code}</Code><Message>made up by the test</Message></Error>`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { endpoint: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, server };
}
