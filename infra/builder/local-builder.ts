import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { dataDir, repoRoot } from "../paths.ts";
import type { PlannedStage } from "../plan/plan.ts";
import type { Store } from "../store/store.ts";
import type { Toolchain } from "../toolchain.ts";
import type { JobSpec } from "./job.ts";

/** Stages that download, and so may need a token. */
const downloading = new Set(["fetch", "fetch-text"]);

/** Runs stages as detached jobs on this machine. */
export class LocalBuilder {
  private readonly jobs = join(dataDir(), "jobs");

  /** @param huggingFaceToken given to the stages that download, through their environment alone */
  constructor(
    private readonly toolchain: Toolchain,
    private readonly store: Store,
    private readonly huggingFaceToken?: pulumi.Output<string>,
  ) {}

  /**
   * The name of the run whose artifact the state should hold. It is what makes a stage run again when its artifact is
   * gone: the one in the store while it is there, else the one at work, else a new one.
   */
  async runOf(stage: PlannedStage): Promise<string> {
    if (stage.artifact !== undefined) return stage.artifact.run;
    try {
      const spec = JSON.parse(await readFile(join(this.jobs, stage.key, "spec.json"), "utf8")) as JobSpec;
      return spec.run;
    } catch {
      return randomUUID();
    }
  }

  /** A command that submits the stage unless it is at work or done, attaches to it, and prints its `JobResult`. */
  attach(
    name: string,
    stage: PlannedStage,
    run: pulumi.Input<string>,
    options: pulumi.CustomResourceOptions,
  ): command.local.Command {
    const spec = (chosen: string): JobSpec => ({
      stage: stage.stage,
      name: stage.name,
      key: stage.key,
      run: chosen,
      params: stage.params,
      inputs: stage.inputKeys,
      store: this.store.url,
      jobs: this.jobs,
      tools: {
        llamaCppBin: this.toolchain.llamaCpp.hostBin,
        convertScript: this.toolchain.llamaCpp.convertScript,
      },
      toolVersions: stage.toolVersions,
    });
    const token = downloading.has(stage.stage) && this.huggingFaceToken;
    const submit = `${this.toolchain.python} -m pipress stage run`;
    return new command.local.Command(
      name,
      {
        create: submit,
        update: submit,
        stdin: pulumi.output(run).apply((chosen) => JSON.stringify(spec(chosen))),
        environment: { PYTHONPATH: join(repoRoot, "models"), ...(token && { HF_TOKEN: token }) },
        addPreviousOutputInEnv: false,
        // Progress comes on standard error; the one JSON document on standard output is for the state.
        logging: command.local.Logging.Stderr,
      },
      options,
    );
  }
}
