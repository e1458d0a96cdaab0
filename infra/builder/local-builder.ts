import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type * as pulumi from "@pulumi/pulumi";
import { dataDir } from "../../common/paths.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Builder, BuilderConnection } from "../stage/builder.ts";
import type { JobSpec } from "../stage/job.ts";
import { tokenEnvironment } from "./hugging-face-token.ts";

/** Runs stages as detached jobs on this machine. */
export class LocalBuilder implements Builder {
  /** @param huggingFaceToken given to the stages that download, through their environment alone */
  constructor(private readonly huggingFaceToken?: pulumi.Output<string>) {}

  async runOf({ key, artifact }: PlannedStage): Promise<string> {
    if (artifact !== undefined) return artifact.run;
    try {
      const spec = await readFile(join(dataDir(), "jobs", key, "spec.json"), "utf8");
      return (JSON.parse(spec) as JobSpec).run;
    } catch {
      return randomUUID();
    }
  }

  connectionFor({ stage }: PlannedStage): BuilderConnection {
    return { environment: tokenEnvironment(stage, this.huggingFaceToken) };
  }
}
