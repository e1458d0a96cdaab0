import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { readJsonIfExists, writeAtomically, writeStamp } from "../bootstrap/files.ts";
import type { Toolchain } from "../toolchain.ts";
import { build } from "./build.ts";
import { verifyNeon } from "./neon.ts";
import { llamaCppPin, llamaCppVersion } from "./pin.ts";
import { type BuildRecipe, cpuIdentity, hostRecipe, piRecipe, recipeDigest } from "./recipe.ts";
import { type LlamaCppRelease, makeRelease, serverFlagsFile } from "./release.ts";
import { archivePath, ensureSource, homeDir, type Run, sourcePath } from "./source.ts";

/** Written last, when everything a build is for has been made and checked. */
interface Stamp {
  recipe: string;
  /** Only in the Pi's stamp. */
  release?: LlamaCppRelease;
}

/**
 * Brings the pinned llama.cpp: source, tools for this builder, release for the Pi. Whatever is there already is
 * kept; an interrupted run goes on where it was.
 *
 * @throws UserError with the reason in one line and the path of the build log
 */
export async function ensureLlamaCpp(run: Run): Promise<void> {
  await ensureSource(run);
  const hostBin = readyHostTools(run.cacheDir) ?? (await buildHostTools(run));
  if (readyRelease(run.cacheDir) === undefined) await buildPiRelease(run, hostBin);
}

/** The tools that stages use on the builder. */
async function buildHostTools(run: Run): Promise<string> {
  const recipe = hostRecipe(cpuIdentity());
  const dir = buildDir(run.cacheDir, recipe);
  const digest = recipeDigest(recipe); // of what is built now, not of files edited meanwhile
  const hostBin = await build(run, recipe, sourcePath(run.cacheDir), dir);
  await checkVersion(hostBin);
  noteReady(dir, { recipe: digest });
  return hostBin;
}

/** The release for the Pi: cross-built, its instructions checked, stripped, with its list of server options. */
async function buildPiRelease(run: Run, hostBin: string): Promise<void> {
  const recipe = piRecipe();
  const dir = buildDir(run.cacheDir, recipe);
  const digest = recipeDigest(recipe);
  const bin = await build(run, recipe, sourcePath(run.cacheDir), dir);
  run.progress(`${recipe.label}: checking the instructions it uses`);
  await verifyNeon(join(bin, "llama-server"), run.signal);
  await verifyNeon(join(bin, "llama-bench"), run.signal);
  const flags = join(dir, serverFlagsFile);
  writeAtomically(flags, (await execa(join(hostBin, "pipress-server-flags"))).stdout);
  noteReady(dir, { recipe: digest, release: await makeRelease(bin, flags, join(dir, releaseFolder)) });
}

/** What is in the cache, built by today's recipes and for this CPU; undefined when a part is missing. Takes milliseconds. */
export function installedLlamaCpp(cacheDir: string): Toolchain["llamaCpp"] | undefined {
  const hostBin = readyHostTools(cacheDir);
  const release = readyRelease(cacheDir);
  const sourceArchive = archivePath(cacheDir);
  const convertScript = join(sourcePath(cacheDir), "convert_hf_to_gguf.py");
  if (hostBin === undefined || release === undefined) return undefined;
  if (!existsSync(sourceArchive) || !existsSync(convertScript)) return undefined;
  return {
    version: llamaCppVersion,
    sourceSha256: llamaCppPin.sha256,
    sourceArchive,
    hostBin,
    convertScript,
    release,
  };
}

/** Folder of the tools for this builder, if all of them are there. */
function readyHostTools(cacheDir: string): string | undefined {
  const recipe = hostRecipe(cpuIdentity());
  const dir = buildDir(cacheDir, recipe);
  const hostBin = join(dir, "bin");
  if (readStamp(dir)?.recipe !== recipeDigest(recipe)) return undefined;
  return recipe.targets.every((name) => existsSync(join(hostBin, name))) ? hostBin : undefined;
}

function readyRelease(cacheDir: string): LlamaCppRelease | undefined {
  const recipe = piRecipe();
  const dir = buildDir(cacheDir, recipe);
  const stamp = readStamp(dir);
  if (stamp?.recipe !== recipeDigest(recipe) || stamp.release === undefined) return undefined;
  const release = stamp.release;
  release.dir = join(dir, releaseFolder); // the cache may have been moved since
  for (const [name, file] of Object.entries(release.files)) {
    file.path = join(release.dir, name);
    if (statSync(file.path, { throwIfNoEntry: false })?.size !== file.bytes) return undefined;
  }
  return existsSync(join(release.dir, serverFlagsFile)) ? release : undefined;
}

/** A program that reports another build than the pinned one means that the pin and the archive disagree. */
async function checkVersion(hostBin: string): Promise<void> {
  const { all } = await execa(join(hostBin, "llama-perplexity"), ["--version"], { all: true });
  if (all.includes(`build ${String(llamaCppPin.build)},`)) return;
  throw new Error(`llama.cpp reports "${all.split("\n")[0] ?? ""}", not build ${String(llamaCppPin.build)}`);
}

function buildDir(cacheDir: string, recipe: BuildRecipe): string {
  return join(homeDir(cacheDir), recipe.name);
}

const stampFile = "ready.json";
const releaseFolder = "release";

function readStamp(dir: string): Stamp | undefined {
  return readJsonIfExists(join(dir, stampFile)) as Stamp | undefined;
}

function noteReady(dir: string, stamp: Stamp): void {
  writeStamp(join(dir, stampFile), `${JSON.stringify(stamp, null, 2)}\n`);
}
