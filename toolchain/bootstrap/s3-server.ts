import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { replaceFolder } from "./files.ts";
import { ensureGo } from "../engine/modules.ts";
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
  const paths = layout(ctx.cacheDir);
  const target = paths.s3Server(pinnedVersion());
  const go = await ensureGo(ctx);
  const part = `${target}.part`;
  const work = join(paths.s3Server("work"));
  mkdirSync(part, { recursive: true });
  ctx.progress(`building ${PACKAGE} ${pinnedVersion()}`);
  await runTool({
    ...ctx,
    where: "S3 server / build",
    command: go,
    cwd: MODULE,
    env: {
      GOMODCACHE: join(work, "modules"),
      GOCACHE: join(work, "build"),
      GOFLAGS: "-buildvcs=false -modcacherw -mod=readonly",
      GOTOOLCHAIN: "local",
      CGO_ENABLED: "0",
    },
    args: [
      "build",
      "-v",
      "-trimpath",
      "-ldflags",
      "-s -w",
      "-o",
      join(part, "versitygw"),
      `${PACKAGE}/cmd/versitygw`,
    ],
    logFile: join(paths.logs, "s3-server.log"),
    remedy: "check that this machine reaches a Go module proxy, then run the same command again",
  });
  replaceFolder(part, target);
  rmSync(work, { recursive: true, force: true });
  return pinnedVersion();
}

function pinnedVersion(): string {
  const line = new RegExp(`${PACKAGE} (v\\S+)`).exec(readFileSync(join(MODULE, "go.mod"), "utf8"));
  if (line?.[1] === undefined) throw new Error("toolchain/s3-server/go.mod pins no versitygw");
  return line[1];
}
