import { setTimeout as sleep } from "node:timers/promises";
import type { PlannedStage } from "../../../infra/stage/planned.ts";
import type { S3Store } from "../../../infra/store/s3-store.ts";
import { makeUp } from "./artifacts.ts";
import type { AutoScalingStandIn } from "./auto-scaling.ts";

/** Stands in for the instances of the stack `dev`: while its group is asked for one, it takes jobs from its job queue and makes artifacts up. */
export class InstanceStandIn {
  /** Which instance worked on each stage, by name. */
  readonly worked = new Map<string, string>();
  private readonly ended = new AbortController();
  private readonly working: Promise<void>;

  constructor(
    private readonly store: S3Store,
    private readonly autoscaling: AutoScalingStandIn,
  ) {
    this.working = this.work();
  }

  async stop(): Promise<void> {
    this.ended.abort();
    await this.working;
  }

  private async work(): Promise<void> {
    while (!this.ended.signal.aborted) {
      for (const instance of this.running())
        for (const path of await this.store.paths("boxes/dev-"))
          if (path.includes(`/${instance}/jobs/`)) await this.take(instance, path);
      await sleep(300);
    }
  }

  private running(): string[] {
    // The stack's id is in the name.
    const asked = [...this.autoscaling.capacity].filter(([, capacity]) => capacity === 1);
    return ["gpu", "build"].filter((instance) => asked.some(([name]) => name.endsWith(`-${instance}-spot`)));
  }

  private async take(instance: string, path: string): Promise<void> {
    const job = JSON.parse((await this.store.text(path)) ?? "{}") as {
      submission: string;
      spec: PlannedStage & { run: string; inputs: Record<string, string> };
    };
    await makeUp(this.store, { ...job.spec, inputKeys: job.spec.inputs }, job.spec.run);
    const { submission, spec } = job;
    const status = { submission, key: spec.key, state: "done", line: "", at: Date.now() / 1000 };
    await this.store.put(path.replace("/jobs/", "/status/"), Buffer.from(JSON.stringify(status)));
    await this.store.drop(path);
    this.worked.set(job.spec.name, instance);
  }
}
