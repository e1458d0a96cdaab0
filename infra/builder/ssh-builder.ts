import { randomUUID } from "node:crypto";
import { join } from "node:path";
import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { SshBuilderConfig } from "../config/schema.ts";
import { repoRoot } from "../../common/paths.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Store } from "../store/store.ts";
import type { Builder } from "../stage/builder.ts";
import { tokenEnvironment } from "./hugging-face-token.ts";
import { jobSpec } from "../stage/job.ts";
import type { BoxJob } from "./ssh/box.ts";
import { runsAtWork } from "./ssh/runs-at-work.ts";

/**
 * Runs stages as detached jobs on a Linux machine reached over SSH. The attaching process lives here; it makes the box
 * ready, submits, follows, and connects again when the connection is lost. Artifacts go from the box into the store.
 */
export class SshBuilder implements Builder {
  private atWork: Promise<ReadonlyMap<string, string>> | undefined;

  /** @param huggingFaceToken given to the stages that download, through their environment alone */
  constructor(
    private readonly box: SshBuilderConfig,
    private readonly store: Store,
    private readonly huggingFaceToken?: pulumi.Output<string>,
  ) {}

  async runOf(stage: PlannedStage): Promise<string> {
    if (stage.artifact !== undefined) return stage.artifact.run;
    this.atWork ??= runsAtWork(this.box);
    return (await this.atWork).get(stage.key) ?? randomUUID();
  }

  attach(
    name: string,
    stage: PlannedStage,
    run: pulumi.Input<string>,
    options: pulumi.CustomResourceOptions,
  ): command.local.Command {
    const job = (chosen: string): BoxJob => ({
      box: this.box,
      spec: jobSpec(stage, chosen, this.store),
    });
    const attach = `node --import tsx ${join("infra", "builder", "ssh", "attach.ts")}`;
    return new command.local.Command(
      name,
      {
        create: attach,
        update: attach,
        dir: repoRoot,
        environment: tokenEnvironment(stage.stage, this.huggingFaceToken),
        stdin: pulumi.output(run).apply((chosen) => JSON.stringify(job(chosen))),
        addPreviousOutputInEnv: false,
        // Progress comes on standard error; the one JSON document on standard output is for the state.
        logging: command.local.Logging.Stderr,
      },
      options,
    );
  }
}
