import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { execa } from "execa";
import type { JobResult } from "../stage/job.ts";
import { UserError } from "../../common/user-error.ts";
import { dataDir, repoRoot } from "../../common/paths.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import type { Store } from "./store.ts";

/**
 * Path on this machine of a file of a stage's artifact, which hosts pull from here. Where the store is a bucket the file is
 * fetched first, its SHA-256 checked; a preview only names the path.
 */
export function bringModel(
  store: Store,
  result: pulumi.Output<JobResult>,
  file: string,
  toolchain: Toolchain,
): pulumi.Output<string> {
  return result.apply(async ({ key }) => {
    if (!pulumi.runtime.isDryRun() && store.url.startsWith("s3:")) await fetchArtifact(store, key, toolchain);
    return join(store.localFolder(key), file);
  });
}

async function fetchArtifact(store: Store, key: string, toolchain: Toolchain): Promise<void> {
  const jobs = join(dataDir(), "jobs");
  const child = execa(toolchain.python, ["-m", "pipress", "store", "fetch", "--jobs", jobs, store.url, key], {
    env: { PYTHONPATH: join(repoRoot, "models") },
    reject: false,
    stdin: "ignore",
  });
  let last = "";
  for await (const line of child.iterable({ from: "stderr" })) {
    last = line;
    await pulumi.log.info(line, undefined, undefined, true);
  }
  const { exitCode } = await child;
  if (exitCode !== 0)
    throw new UserError({
      where: store.locate(key),
      what: last || "could not be fetched",
      remedy: "see above",
    });
}
