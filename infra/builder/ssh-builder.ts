import { randomUUID } from "node:crypto";
import type * as pulumi from "@pulumi/pulumi";
import type { SshBuilderConfig } from "../config/schema.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Builder, BuilderConnection } from "../stage/builder.ts";
import { tokenEnvironment } from "./hugging-face-token.ts";
import { runsAtWork } from "./ssh/runs-at-work.ts";

/**
 * Runs stages as detached jobs on a Linux machine reached over SSH. The attaching process runs here: it prepares the
 * builder machine, submits, follows, and connects again when the connection is lost. Artifacts go from there into the store.
 */
export class SshBuilder implements Builder {
  private atWork: Promise<ReadonlyMap<string, string>> | undefined;

  /** @param huggingFaceToken given to the stages that download, through their environment alone */
  constructor(
    private readonly machine: SshBuilderConfig,
    private readonly huggingFaceToken?: pulumi.Output<string>,
  ) {}

  async runOf({ key, artifact }: PlannedStage): Promise<string> {
    if (artifact !== undefined) return artifact.run;
    this.atWork ??= runsAtWork(this.machine);
    return (await this.atWork).get(key) ?? randomUUID();
  }

  connectionFor({ stage }: PlannedStage): BuilderConnection {
    return {
      address: { ssh: this.machine },
      environment: tokenEnvironment(stage, this.huggingFaceToken),
    };
  }
}
