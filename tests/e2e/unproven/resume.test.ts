import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JobSpec } from "../../../infra/builder/job.ts";
import { Workspace } from "../workspace.ts";

const checkpointEverySteps = 4;

/** No hosts: the builder alone. Recovery is long enough to be interrupted in the middle of it. */
const workspace = new Workspace();
const jobs = join(workspace.data, "jobs");

beforeAll(async () => {
  workspace.recipe({
    "steps.recover.tokens": 24576,
    "steps.recover.checkpointEverySteps": checkpointEverySteps,
    "steps.evaluate.chunks": 4,
  });
  workspace.configure({ recipe: workspace.recipeFile });
  expect((await workspace.init()).exitCode).toBe(0);
});

afterAll(async () => {
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
});

function recoverJob(): string | undefined {
  const keys = existsSync(jobs) ? readdirSync(jobs) : [];
  return keys
    .map((key) => join(jobs, key))
    .find((dir) => {
      const spec = join(dir, "spec.json");
      return existsSync(spec) && (JSON.parse(readFileSync(spec, "utf8")) as JobSpec).stage === "recover";
    });
}

/** Every training step that the job's log tells of, in the order in which they were done. */
function stepsDone(): number[] {
  const log = join(recoverJob() ?? "", "log.txt");
  if (!existsSync(log)) return [];
  return [...readFileSync(log, "utf8").matchAll(/^step (\d+)\b/gm)].map(([, step]) => Number(step));
}

async function until(what: string, holds: () => boolean, seconds = 600): Promise<void> {
  for (let waited = 0; waited < seconds; waited += 0.5) {
    if (holds()) return;
    await sleep(500);
  }
  throw new Error(`waited ${seconds} s for ${what}; steps so far: ${stepsDone().join(" ")}`);
}

/** Process ids of jobs of this workspace that work on recovery. */
async function recoverProcesses(): Promise<number[]> {
  const key = recoverJob()?.split("/").at(-1) ?? "none";
  const { stdout } = await execa("ps", ["-eo", "pid,args"]);
  return stdout
    .split("\n")
    .filter((line) => line.includes(key) && line.includes("pipress"))
    .map((line) => Number.parseInt(line, 10));
}

describe("an up that is killed in the middle of recovery", () => {
  it("leaves the job at work, and the next up attaches to it; a killed job resumes from its checkpoint", async () => {
    const first = workspace.start(["up", "--yes", "--skip-preview"]);
    await until("the first checkpoint", () => stepsDone().length > checkpointEverySteps);
    process.kill(-(first.pid ?? 0), "SIGKILL");
    await first;
    const atKill = stepsDone().length;
    await until("the job to go on without an up", () => stepsDone().length > atKill + 1);
    const [job, ...others] = await recoverProcesses();
    expect(others).toEqual([]);

    // The power cut: now the job itself dies, somewhere between two checkpoints.
    process.kill(job ?? 0, "SIGKILL");
    const atCut = Math.max(...stepsDone());

    await workspace.pulumi("cancel", "--yes");
    const second = await workspace.up();
    expect(second.exitCode, second.output).toBe(0);

    const steps = stepsDone();
    const resumedAt = steps[steps.lastIndexOf(atCut + 1) - 1 - (atCut % checkpointEverySteps)] ?? atCut;
    expect(resumedAt).toBeGreaterThan(0);
    const repeated = steps.length - new Set(steps).size;
    expect(repeated).toBeLessThanOrEqual(checkpointEverySteps);
  });

  it("on Ctrl-C says what goes on running and how to pick it up", async () => {
    workspace.recipe({ "steps.recover.tokens": 24576, "steps.recover.seed": 7, "steps.evaluate.chunks": 4 });
    const run = workspace.start(["up", "--yes", "--skip-preview"]);
    let printed = "";
    run.all.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await until("recovery to be shown", () => /recover \d+ %/.test(printed));
    process.kill(-(run.pid ?? 0), "SIGINT");
    const { all } = await run;
    expect(all).toMatch(/recover.*goes on/i);
    expect(all).toMatch(/npm run jobs -- stop/);
    const stopped = await execa("npm", ["run", "--silent", "jobs", "--", "stop", "recover"], {
      env: workspace.env,
    });
    expect(stopped.exitCode).toBe(0);
    expect(await recoverProcesses()).toEqual([]);
  });
});
