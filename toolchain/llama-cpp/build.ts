import { createWriteStream } from "node:fs";
import { cp, mkdir, readFile, rm } from "node:fs/promises";
import { availableParallelism, totalmem } from "node:os";
import { dirname, delimiter, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { execa } from "execa";
import writeFileAtomic from "write-file-atomic";
import { UserError } from "../../common/user-error.ts";
import { type BuildRecipe, cmakeFolder, cmakePlaceholder, recipeDigest } from "./recipe.ts";
import { exists, type Run } from "./source.ts";

/** Largest resident size of one compiler process here, with a margin: batches of llama.cpp's own sources take 0.65 GB. */
const bytesPerCompiler = 0.8e9;

/** Our own exit code for "the lock is taken" (EX_TEMPFAIL), told apart from ninja's. */
const lockTaken = 75;

/** A line at least this often, also while a single large file compiles. */
const progressEveryMs = 5_000;

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
  if ((await readFile(stamp, "utf8").catch(() => "")) === digest) return;
  await rm(buildDir, { recursive: true, force: true });
  await mkdir(buildDir, { recursive: true });
  run.progress(`${recipe.label}: configuring`);
  const cmakeCopy = join(buildDir, "cmake");
  await cp(cmakeFolder, cmakeCopy, { recursive: true });
  // Paths of the builder stay out of the programs: the same source gives the same bytes anywhere.
  const flags = `-pipe -ffile-prefix-map=${sourceDir}=llama.cpp -ffile-prefix-map=${buildDir}=build`;
  const env = { CFLAGS: flags, CXXFLAGS: flags };
  const args = ["-G", "Ninja", "-S", sourceDir, "-B", buildDir];
  args.push(...recipe.cmakeArgs.map((argument) => argument.replace(cmakePlaceholder, cmakeCopy)));
  await runLogged(run, recipe, "cmake", args, join(buildDir, "configure.log"), env, () => undefined);
  await writeFileAtomic(stamp, digest);
}

async function compile(run: Run, recipe: BuildRecipe, buildDir: string): Promise<void> {
  const jobs = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / bytesPerCompiler)));
  let steps = "";
  const report = () => {
    run.progress(`${recipe.label} ${steps}`.trim());
  };
  const timer = setInterval(report, progressEveryMs);
  try {
    report();
    // A build left running (its parent was killed) or somebody else's: wait, then find little or nothing left to do.
    const lock = ["--nonblock", "--conflict-exit-code", String(lockTaken), join(buildDir, "lock")];
    const args = [...lock, "ninja", "-C", buildDir, "-j", String(jobs), ...recipe.targets];
    const env = { NINJA_STATUS: "[%f/%t] " };
    const takeStep = (line: string) => {
      steps = ninjaSteps(line) ?? steps;
    };
    while (
      (await runLogged(run, recipe, "flock", args, join(buildDir, "build.log"), env, takeStep)) === lockTaken
    ) {
      steps = "is being built by another process; waiting for it";
      await setTimeout(1_000, undefined, { signal: run.signal });
    }
  } finally {
    clearInterval(timer);
  }
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
  if (index === -1) return log.filter((line) => line.trim() !== "").at(-1) ?? "no output";
  const line = log[index] ?? "";
  // cmake prints the place first and the reason indented below it.
  return line.startsWith("CMake Error")
    ? [line, log.slice(index + 1).find((l) => l.trim() !== "")].join(" ")
    : line;
}

/**
 * Runs one build program, appends all it says to `logFile`, hands each line to `onLine`.
 *
 * @returns 0, or `lockTaken`
 * @throws UserError for any other end
 */
async function runLogged(
  run: Run,
  recipe: BuildRecipe,
  program: string,
  args: readonly string[],
  logFile: string,
  env: Record<string, string>,
  onLine: (line: string) => void,
): Promise<number> {
  const log = createWriteStream(logFile, { flags: "a" });
  const path = [dirname(run.python), process.env.PATH ?? ""].join(delimiter);
  const child = execa(program, args, {
    all: true,
    reject: false,
    stdin: "ignore",
    cancelSignal: run.signal,
    forceKillAfterDelay: 10_000,
    env: { ...env, PATH: path, LC_ALL: "C" }, // C: messages in one language, as `firstError` expects
  });
  const lines: string[] = [];
  try {
    for await (const line of child.iterable({ from: "all" })) {
      lines.push(line);
      log.write(`${line}\n`);
      onLine(line);
    }
  } finally {
    log.end();
  }
  const result = await child;
  run.signal?.throwIfAborted();
  if (result.exitCode === 0 || result.exitCode === lockTaken) return result.exitCode;
  throw new UserError({
    where: recipe.label,
    what:
      result.exitCode === undefined
        ? (result.originalMessage ?? `${program} did not start`)
        : firstError(lines),
    remedy: (await exists(logFile))
      ? `the whole log is ${logFile}; run the same command again to go on`
      : "see above",
  });
}
