import { chmodSync, copyFileSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { putInPlace, writeAtomically } from "../bootstrap/files.ts";
import { goTool } from "../bootstrap/go.ts";
import { layout } from "../bootstrap/layout.ts";
import { ENGINE_VERSION } from "../bootstrap/pins.ts";
import { runTool } from "../bootstrap/process.ts";
import type { TaskContext } from "../bootstrap/task.ts";

const SOURCES = join(repoRoot, "toolchain", "engine");
const CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi";
const SDK = "github.com/pulumi/pulumi/sdk/v3";
const LINKER_FLAGS = `-s -w -X ${SDK}/go/common/version.Version=v${ENGINE_VERSION}`;
const LANGUAGE_HOST = `${SDK}/nodejs/cmd/pulumi-language-nodejs`;

/**
 * Builds the engine and its Node.js language host from their Go modules into `target/bin`: the way in where only
 * package registries can be reached. Why there are two modules and a wrapper: docs/decisions/0004.
 */
export async function buildFromModules(ctx: TaskContext, target: string): Promise<void> {
  const { goWork } = layout(ctx.cacheDir);
  const tool = await goTool(ctx, goWork, "engine.log");
  const bin = `${target}.part`;
  mkdirSync(bin, { recursive: true });
  const build = async (folder: string, main: string, output: string) => {
    const cwd = join(SOURCES, folder);
    ctx.progress(`looking at the Go modules of ${output}`);
    const packages = await runTool({
      ...tool,
      cwd,
      where: "engine / modules",
      args: ["list", "-deps", main], // downloads the modules on the way
      progress: (line) => {
        if (line.startsWith("go: downloading")) ctx.progress(line.replace("go: ", ""));
      },
      remedy: "check that this machine reaches a Go module proxy, then run the same command again",
    });
    const total = packages.split("\n").length;
    let built = 0;
    ctx.progress(`building ${output} of ${String(total)} packages`);
    await runTool({
      ...tool,
      cwd,
      where: "engine / build",
      // Without the version flag the engine reports none, and every plugin looks wrong to it.
      args: ["build", "-v", "-trimpath", "-o", join(bin, output), "-ldflags", LINKER_FLAGS, main],
      progress: (line) => {
        built += 1;
        ctx.progress(`building ${output}: package ${String(built)} of ${String(total)}, ${line}`);
      },
      remedy: "run the same command again; it goes on from the packages built so far",
    });
  };
  await build("language-nodejs", LANGUAGE_HOST, "pulumi-language-nodejs.bin");
  await build("cli", CLI, "pulumi");

  writeAtomically(join(bin, "pulumi-language-nodejs"), LANGUAGE_HOST_WRAPPER, 0o755);
  const sdk = await runTool({
    ...tool,
    cwd: join(SOURCES, "language-nodejs"),
    where: "engine / scripts",
    args: ["list", "-m", "-f", "{{.Dir}}", SDK],
  });
  for (const script of ["pulumi-resource-pulumi-nodejs", "pulumi-analyzer-policy"]) {
    copyFileSync(join(sdk, "nodejs", "dist", script), join(bin, script));
    chmodSync(join(bin, script), 0o755);
  }
  putInPlace(bin, join(target, "bin"));
  rmSync(goWork, { recursive: true, force: true });
}

/**
 * The last language host that the registries hold is older than the engine's way of passing Pulumi.yaml's `runtime.options`
 * and ignores them. It has the same two as flags; the wrapper gives it what Pulumi.yaml says.
 */
const LANGUAGE_HOST_WRAPPER = `#!/bin/sh
# Runs programs through tsx, as Pulumi.yaml's runtime options tell newer language hosts to.
exec "$(dirname "$(readlink -f "$0")")/pulumi-language-nodejs.bin" -typescript=false -nodeargs="--import tsx/esm" "$@"
`;
