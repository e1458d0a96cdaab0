import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { dataDir, repoRoot } from "../../common/paths.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Store } from "../store/store.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import type { Builder } from "../stage/builder.ts";
import { tokenEnvironment } from "./hugging-face-token.ts";
import { jobSpec, type JobSpec } from "../stage/job.ts";

/** Runs stages as detached jobs on this machine. */
export class LocalBuilder implements Builder {
  private readonly jobs = join(dataDir(), "jobs");

  /** @param huggingFaceToken given to the stages that download, through their environment alone */
  constructor(
    private readonly toolchain: Toolchain,
    private readonly store: Store,
    private readonly huggingFaceToken?: pulumi.Output<string>,
  ) {}

  async runOf(stage: PlannedStage): Promise<string> {
    if (stage.artifact !== undefined) return stage.artifact.run;
    try {
      const spec = JSON.parse(await readFile(join(this.jobs, stage.key, "spec.json"), "utf8")) as JobSpec;
      return spec.run;
    } catch {
      return randomUUID();
    }
  }

  attach(
    name: string,
    stage: PlannedStage,
    run: pulumi.Input<string>,
    options: pulumi.CustomResourceOptions,
  ): command.local.Command {
    const spec = (chosen: string): JobSpec => ({
      ...jobSpec(stage, chosen, this.store),
      jobs: this.jobs,
      tools: {
        llamaCppBin: this.toolchain.llamaCpp.hostBin,
        convertScript: this.toolchain.llamaCpp.convertScript,
      },
    });
    const submit = `${this.toolchain.python} -m pipress stage run`;
    return new command.local.Command(
      name,
      {
        create: submit,
        update: submit,
        stdin: pulumi.output(run).apply((chosen) => JSON.stringify(spec(chosen))),
        environment: {
          PYTHONPATH: join(repoRoot, "models"),
          ...tokenEnvironment(stage.stage, this.huggingFaceToken),
        },
        addPreviousOutputInEnv: false,
        // Progress comes on standard error; the one JSON document on standard output is for the state.
        logging: command.local.Logging.Stderr,
      },
      options,
    );
  }
}
