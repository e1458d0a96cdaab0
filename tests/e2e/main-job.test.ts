import { readdirSync } from "node:fs";
import { connect } from "node:net";
import { basename, join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  artifacts,
  ask,
  changedNames,
  expectClearError,
  expectStillServing,
  host,
  quick,
  type Outputs,
} from "./scenario.ts";
import { Workspace } from "./workspace.ts";

const workspace = new Workspace();
const config = { recipe: workspace.recipeFile, hosts: [host] };

beforeAll(async () => {
  workspace.recipe(quick);
  workspace.configure(config);
  expect((await workspace.init()).exitCode).toBe(0);
});

afterAll(async () => {
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
});

describe("from a recipe to an answering virtual Pi", () => {
  it("refuses an illegal configuration at preview, every problem by its path, before anything is touched", async () => {
    workspace.configure({ ...config, hosts: [{ ...host, virtual: { memroy: "2 GiB" } }], sevrice: {} });
    const { exitCode, output } = await workspace.pulumi("preview");
    expect(exitCode).not.toBe(0);
    expectClearError(
      output,
      'pipress:hosts[0].virtual.memroy: unknown key; did you mean "memory"?',
      'pipress:sevrice: unknown key; did you mean "service"?',
    );
    expect(readdirSync(workspace.data)).not.toContain("hosts");
    workspace.configure(config);
  });

  it("compresses the model and brings it to the host, showing progress at least every ten seconds", async () => {
    const run = workspace.start(["up", "--yes", "--skip-preview"]);
    let last = Date.now();
    let longestSilence = 0;
    run.all.on("data", () => {
      longestSilence = Math.max(longestSilence, Date.now() - last);
      last = Date.now();
    });
    const { exitCode, all } = await run;
    expect(exitCode, all).toBe(0);
    // Ten seconds are promised; the rest is for a machine that runs a VM and a training at once.
    expect(longestSilence).toBeLessThan(20_000);
  });

  it("answers the golden prompt with the API key, and nobody without it", async () => {
    const outputs = await workspace.outputs<Outputs>();
    await expectStillServing(workspace);
    expect((await ask(outputs, undefined)).status).toBe(401);
    expect((await ask(outputs, "wrong")).status).toBe(401);
  });

  it("reports sizes, perplexities and the host's speed, and recovery improves on the pruned model", async () => {
    const { report, artifact } = await workspace.outputs<Outputs>();
    expect(report.models.map(({ label }) => label)).toEqual(["base", "pruned", "recovered", "quantized"]);
    const [base, pruned, recovered, quantized] = report.models;
    expect(pruned?.perplexity).toBeGreaterThan(base?.perplexity ?? Infinity);
    expect(recovered?.perplexity).toBeLessThan(pruned?.perplexity ?? 0);
    expect(quantized?.fileBytes).toBeLessThan((base?.fileBytes ?? 0) / 2);
    expect(report.hosts[0]?.tokensPerSecond).toBeGreaterThan(0);
    expect(readdirSync(artifact)).toContain("model.gguf");
  });

  it("changes nothing when nothing changed", async () => {
    const before = artifacts(workspace);
    expect(await workspace.preview()).toEqual([]);
    expect((await workspace.up("--expect-no-changes")).exitCode).toBe(0);
    expect(artifacts(workspace)).toEqual(before);
  });

  it("plans only quantize, evaluate and the host when the quantization changes", async () => {
    workspace.recipe({ ...quick, "steps.quantize.type": "Q5_K_M" });
    const steps = await workspace.preview();
    workspace.recipe(quick);
    expect(changedNames(steps.filter(({ type }) => type !== "pulumi:pulumi:Stack"))).toEqual([
      "evaluate",
      "pi-0",
      "quantize",
      "wave-1",
    ]);
  });
});

describe("destroy", () => {
  it("leaves no process, port or VM behind, and keeps the artifacts", async () => {
    const { endpoint } = await workspace.outputs<Outputs>();
    const kept = artifacts(workspace);
    const { exitCode, output } = await workspace.pulumi("destroy", "--yes", "--skip-preview");
    expect(exitCode, output).toBe(0);
    const { stdout: processes } = await execa("ps", ["-eo", "args"]);
    expect(processes.split("\n").filter((line) => line.includes(basename(workspace.dir)))).toEqual([]);
    await expect(connectTo(Number(new URL(endpoint).port))).rejects.toThrow("ECONNREFUSED");
    expect(readdirSync(join(workspace.data, "hosts"))).toEqual([]);
    expect(artifacts(workspace)).toEqual(kept);
  });
});

function connectTo(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy();
      resolve();
    });
    socket.on("error", reject);
  });
}
