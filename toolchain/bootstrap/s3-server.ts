import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { putInPlace } from "./files.ts";
import { goTool } from "./go.ts";
import { layout } from "./layout.ts";
import { runTool } from "./process.ts";
import type { TaskContext } from "./task.ts";

const MODULE = join(repoRoot, "toolchain", "s3-server");
const PACKAGE = "github.com/versity/versitygw";

/** The S3 server that tests and the benchmark of the store run against, pinned in `toolchain/s3-server/go.sum`. */
export function s3ServerProgram(cacheDir: string): string {
  return join(layout(cacheDir).s3Server(pinnedVersion()), "versitygw");
}

export function s3ServerIsReady(cacheDir: string): boolean {
  return existsSync(s3ServerProgram(cacheDir));
}

/** Builds it from its Go module. */
export async function ensureS3Server(ctx: TaskContext): Promise<string> {
  const { s3Server } = layout(ctx.cacheDir);
  const version = pinnedVersion();
  const part = `${s3Server(version)}.part`;
  const work = s3Server("work");
  const tool = await goTool(ctx, work, "s3-server.log");
  mkdirSync(part, { recursive: true });
  ctx.progress(`building ${PACKAGE} ${version}`);
  const program = ["-o", join(part, "versitygw"), `${PACKAGE}/cmd/versitygw`];
  await runTool({
    ...tool,
    where: "S3 server / build",
    cwd: MODULE,
    args: ["build", "-v", "-trimpath", "-ldflags", "-s -w", ...program],
    progress: ctx.progress,
    remedy: "check that this machine reaches a Go module proxy, then run the same command again",
  });
  putInPlace(part, s3Server(version));
  rmSync(work, { recursive: true, force: true });
  return version;
}

function pinnedVersion(): string {
  const line = new RegExp(`${PACKAGE} (v\\S+)`).exec(readFileSync(join(MODULE, "go.mod"), "utf8"));
  if (line?.[1] === undefined) throw new Error("toolchain/s3-server/go.mod pins no versitygw");
  return line[1];
}
