import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { execa } from "execa";
import { describe, expect, it } from "vitest";
import { repoRoot } from "../../../common/paths.ts";
import { jobLog, jobProcesses } from "../jobs.ts";
import { quick } from "../scenario.ts";
import type { Workspace } from "../workspace.ts";

/** What happens to training when the operator, the machine or the user's patience gives out. */
export function interruption(workspace: Workspace): void {
  /** Every training step that the job's log tells of, in the order in which they were done. */
  const stepsDone = (): number[] =>
    [...jobLog(workspace, "recover").matchAll(/^step (\d+)\//gm)].map(([, step]) => Number(step));

  async function until(what: string, holds: () => boolean, seconds = 900): Promise<void> {
    for (let waited = 0; waited < seconds; waited += 0.5) {
      if (holds()) return;
      await sleep(500);
    }
    throw new Error(`waited ${seconds} s for ${what}; steps so far: ${stepsDone().join(" ")}`);
  }

  describe("an up that is interrupted in the middle of recovery", () => {
    it("says on Ctrl-C what goes on running, and the job is stopped as it says", async () => {
      const run = workspace.start(["up", "--yes", "--skip-preview"]);
      let printed = "";
      run.all.on("data", (chunk: Buffer) => (printed += chunk.toString()));
      await until("the first training step to be shown", () => /recover \d+ % · step \d/.test(printed));
      process.kill(-(run.pid ?? 0), "SIGINT");
      const { all } = await run;
      expect(all).toMatch(/recover.*goes on/i);
      expect(all).toMatch(/\.\/pipress jobs stop/);
      expect(await jobProcesses(workspace, "recover")).toHaveLength(1);
      const stopped = await execa(join(repoRoot, "pipress"), ["jobs", "stop", "recover"], {
        env: workspace.env,
      });
      expect(stopped.exitCode).toBe(0);
      expect(await jobProcesses(workspace, "recover")).toEqual([]);
    });

    it("leaves the job at work when it is killed, beside which no second one is started", async () => {
      const run = workspace.start(["up", "--yes", "--skip-preview"]);
      await until("a checkpoint", () => stepsDone().length > quick["steps.recover.checkpointEverySteps"]);
      process.kill(-(run.pid ?? 0), "SIGKILL");
      await run;
      const atKill = stepsDone().length;
      await until("the job to go on without an up", () => stepsDone().length > atKill);
      expect(await jobProcesses(workspace, "recover")).toHaveLength(1);
    });

    it("resumes from the checkpoint when the job was killed as well, showing progress all the time", async () => {
      const [job] = await jobProcesses(workspace, "recover");
      process.kill(job ?? 0, "SIGKILL");
      const before = stepsDone();
      await workspace.cancel();

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

      const resumed = stepsDone().slice(before.length);
      expect(resumed[0]).toBeGreaterThan(1);
      const repeated = before.filter((step) => resumed.includes(step));
      expect(repeated.length).toBeLessThanOrEqual(quick["steps.recover.checkpointEverySteps"]);
    });
  });
}
