import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { writeStamp } from "../bootstrap/files.ts";
import { ask, runTool } from "../bootstrap/process.ts";
import { type BuildRecipe, recipeDigest } from "./recipe.ts";
import type { Run } from "./source.ts";

/** Largest resident size of one compiler process here, with a margin: batches of llama.cpp's own sources take 0.65 GB. */
const bytesPerCompiler = 0.8e9;

/**
 * Configures and builds a recipe in `buildDir`; what is already compiled there for the same recipe is kept, so
 * an interrupted build goes on where it was.
 *
 * @returns the folder with the programs
 * @throws UserError with the compiler's first error and the path of the log
 */
export async function build(
  run: Run,
  recipe: BuildRecipe,
  sourceDir: string,
  buildDir: string,
): Promise<string> {
  await configure(run, recipe, sourceDir, buildDir);
  await compile(run, recipe, buildDir);
  return join(buildDir, "bin");
}

async function configure(run: Run, recipe: BuildRecipe, sourceDir: string, buildDir: string): Promise<void> {
  const stamp = join(buildDir, "configured");
  const digest = recipeDigest(recipe);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  rmSync(buildDir, { recursive: true, force: true });
  mkdirSync(buildDir, { recursive: true });
  run.progress(`${recipe.label}: configuring`);
  const options = copyOwnFolders(recipe, buildDir);
  // Paths of the builder stay out of the programs: the same source gives the same bytes anywhere.
  const flags = `-pipe -ffile-prefix-map=${sourceDir}=llama.cpp -ffile-prefix-map=${buildDir}=build`;
  await runTool({
    ...buildTool(run, recipe, { CFLAGS: flags, CXXFLAGS: flags }),
    command: "cmake",
    args: ["-G", "Ninja", "-S", sourceDir, "-B", buildDir, ...options],
    logFile: join(buildDir, "configure.log"),
  });
  writeStamp(stamp, digest);
}

/** @returns the arguments of cmake, with the paths of the copies */
function copyOwnFolders(recipe: BuildRecipe, buildDir: string): string[] {
  let options = [...recipe.cmakeArgs];
  for (const [placeholder, folder] of Object.entries(recipe.ownFolders)) {
    const copy = join(buildDir, basename(folder));
    cpSync(folder, copy, { recursive: true });
    options = options.map((option) => option.replace(placeholder, copy));
  }
  return options;
}

async function compile(run: Run, recipe: BuildRecipe, buildDir: string): Promise<void> {
  const jobs = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / bytesPerCompiler)));
  const report = (steps: string) => {
    run.progress(`${recipe.label} ${steps}`.trim());
  };
  // A build left running (its parent was killed) or somebody else's: wait, then find little or nothing left to do.
  const lock = join(buildDir, "lock");
  const isFree = (await ask("flock", ["--nonblock", lock, "true"])) !== undefined;
  report(isFree ? "" : "is being built by another process; waiting for it");
  await runTool({
    ...buildTool(run, recipe, { NINJA_STATUS: "[%f/%t] " }),
    command: "flock",
    args: ["--no-fork", lock, "ninja", "-C", buildDir, "-j", String(jobs), ...recipe.targets],
    progress: (line) => {
      const steps = ninjaSteps(line);
      if (steps !== undefined) report(steps);
    },
    logFile: join(buildDir, "build.log"),
  });
}

/** What calls of cmake and ninja have in common. */
function buildTool(run: Run, recipe: BuildRecipe, env: Record<string, string>) {
  const path = [dirname(run.python), process.env.PATH ?? ""].join(delimiter);
  return {
    where: recipe.label,
    env: { ...env, PATH: path, LC_ALL: "C" }, // C: messages in one language, as `firstError` expects
    signal: run.signal,
    reason: firstError,
    remedy: "run the same command again to go on",
  };
}

/** `312/420` from one of ninja's status lines, undefined for any other line. */
export function ninjaSteps(line: string): string | undefined {
  return /^\[(\d+\/\d+)\]/.exec(line)?.[1];
}

/** The line that says why a build failed: the compiler's, linker's or cmake's first error, else the last line. */
export function firstError(log: readonly string[]): string {
  const index = log.findIndex((line) =>
    /\b(fatal )?error:|CMake Error|undefined reference|cannot find -l|Killed/.test(line),
  );
  if (index === -1) return log.at(-1) ?? "no output";
  // cmake prints the place first and the reason indented below it.
  return log.slice(index, index + (log[index]?.startsWith("CMake Error") ? 2 : 1)).join(" ");
}
