import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import writeFileAtomic from "write-file-atomic";
import { build } from "./build.ts";
import { verifyNeon } from "./neon.ts";
import { llamaCppPin, llamaCppVersion } from "./pin.ts";
import { type BuildRecipe, cpuIdentity, hostRecipe, piRecipe, recipeDigest } from "./recipe.ts";
import { describeRelease, layOutRelease, type LlamaCppRelease, serverFlagsFile } from "./release.ts";
import { archivePath, ensureSource, exists, homeDir, type Run } from "./source.ts";

/** The `llamaCpp` section of toolchain.json. */
export interface LlamaCpp {
  version: string;
  sourceSha256: string;
  /** Absolute path of the source archive, for building on a device. */
  sourceArchive: string;
  sourceDir: string;
  /** Folder with llama-quantize, llama-imatrix, llama-perplexity, llama-bench and llama-simple for the builder. */
  hostBin: string;
  convertScript: string;
  release: LlamaCppRelease;
}

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
export async function ensureLlamaCpp(run: Run): Promise<LlamaCpp> {
  const ready = await readyParts(run.cacheDir);
  if (ready !== undefined) return ready;
  const { sourceDir } = await ensureSource(run);
  const hostBin = await ensureHostTools(run, sourceDir);
  await ensurePiRelease(run, sourceDir, hostBin);
  const made = await readyParts(run.cacheDir);
  if (made === undefined) throw new Error("llama.cpp: built, yet not found ready; this is a bug");
  return made;
}

/** Whether everything is in the cache, built by today's recipes and for this CPU. Takes milliseconds. */
export async function isReady(cacheDir: string): Promise<boolean> {
  return (await readyParts(cacheDir)) !== undefined;
}

/** The tools of the builder alone: enough for every stage, without the release for the Pi. */
export async function ensureHostTools(run: Run, sourceDir: string): Promise<string> {
  const ready = await readyHostTools(run.cacheDir);
  if (ready !== undefined) return ready;
  const recipe = hostRecipe(cpuIdentity());
  const dir = buildDir(run.cacheDir, recipe);
  const digest = recipeDigest(recipe); // of what is built now, not of files edited meanwhile
  const hostBin = await build(run, recipe, sourceDir, dir);
  await checkVersion(hostBin);
  await writeStamp(dir, { recipe: digest });
  return hostBin;
}

/** The release for the Pi: cross-built, its instructions checked, stripped, with its list of server options. */
export async function ensurePiRelease(
  run: Run,
  sourceDir: string,
  hostBin: string,
): Promise<LlamaCppRelease> {
  const ready = await readyRelease(run.cacheDir);
  if (ready !== undefined) return ready;
  const recipe = piRecipe();
  const dir = buildDir(run.cacheDir, recipe);
  const digest = recipeDigest(recipe);
  const bin = await build(run, recipe, sourceDir, dir);
  run.progress(`${recipe.label}: checking the instructions it uses`);
  await verifyNeon(join(bin, "llama-server"), run.signal);
  await verifyNeon(join(bin, "llama-bench"), run.signal);
  const flags = join(dir, serverFlagsFile);
  await writeFileAtomic(flags, (await execa(join(hostBin, "pipress-server-flags"))).stdout);
  const releaseDir = join(dir, releaseFolder);
  await layOutRelease(bin, flags, releaseDir);
  const release = await describeRelease(releaseDir);
  await writeStamp(dir, { recipe: digest, release });
  return release;
}

/** The whole section when every part is there, else undefined. */
async function readyParts(cacheDir: string): Promise<LlamaCpp | undefined> {
  const hostBin = await readyHostTools(cacheDir);
  const release = await readyRelease(cacheDir);
  const sourceDir = join(homeDir(cacheDir), "src");
  const sourceArchive = archivePath(cacheDir);
  const convertScript = join(sourceDir, "convert_hf_to_gguf.py");
  if (hostBin === undefined || release === undefined) return undefined;
  if (!(await exists(sourceArchive)) || !(await exists(convertScript))) return undefined;
  const sourceSha256 = llamaCppPin.sha256;
  return {
    version: llamaCppVersion,
    sourceSha256,
    sourceArchive,
    sourceDir,
    hostBin,
    convertScript,
    release,
  };
}

async function readyHostTools(cacheDir: string): Promise<string | undefined> {
  const recipe = hostRecipe(cpuIdentity());
  const dir = buildDir(cacheDir, recipe);
  const hostBin = join(dir, "bin");
  if ((await readStamp(dir))?.recipe !== recipeDigest(recipe)) return undefined;
  const present = await Promise.all(recipe.targets.map((name) => exists(join(hostBin, name))));
  return present.every(Boolean) ? hostBin : undefined;
}

async function readyRelease(cacheDir: string): Promise<LlamaCppRelease | undefined> {
  const recipe = piRecipe();
  const dir = buildDir(cacheDir, recipe);
  const stamp = await readStamp(dir);
  if (stamp?.recipe !== recipeDigest(recipe) || stamp.release === undefined) return undefined;
  const release = stamp.release;
  release.dir = join(dir, releaseFolder); // the cache may have been moved since
  for (const [name, file] of Object.entries(release.files)) {
    file.path = join(release.dir, name);
    if ((await stat(file.path).catch(() => undefined))?.size !== file.bytes) return undefined;
  }
  return (await exists(join(release.dir, serverFlagsFile))) ? release : undefined;
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

async function readStamp(dir: string): Promise<Stamp | undefined> {
  const text = await readFile(join(dir, stampFile), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Stamp);
}

async function writeStamp(dir: string, stamp: Stamp): Promise<void> {
  await writeFileAtomic(join(dir, stampFile), `${JSON.stringify(stamp, null, 2)}\n`);
}
