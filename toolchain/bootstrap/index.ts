import { availableParallelism, totalmem } from "node:os";
import { cacheDir } from "../../common/paths.ts";
import { formatBytes } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { chosenEngine, ensureEngine } from "../engine/index.ts";
import { ensureLlamaCpp, installedLlamaCpp } from "../llama-cpp/index.ts";
import { llamaCppVersion } from "../llama-cpp/pin.ts";
import { toolchainIsCurrent, writeToolchain } from "../toolchain.ts";
import { buildImage, imageDigest, imageDir, isReady as imageIsReady } from "../virtual-pi-image/index.ts";
import { builtWebPage, ensureWebPage } from "../web-page/index.ts";
import { layout } from "./layout.ts";
import { withLock } from "./lock.ts";
import { ensureCommandPlugin, installedCommandPlugin } from "./plugins.ts";
import { ensurePython, pythonEnvironment, pythonIsReady } from "./python.ts";
import { ensureS3Server, s3ServerIsReady } from "./s3-server.ts";
import { installPackages, missingPackages, packagesFor } from "./system-packages.ts";
import type { Purpose, Task, TaskContext } from "./task.ts";

/**
 * Puts everything in place that pipress needs besides Node: system packages, engine and plugins, Python, llama.cpp,
 * the virtual Pi's image. Says nothing and takes a moment when all is there. What was cut short is gone on with.
 * @throws UserError for what only the user can mend
 */
export async function bootstrap({ purpose = "run" }: { purpose?: Purpose } = {}): Promise<void> {
  const missing = bootstrapTasks(cacheDir(), purpose).filter((task) => !task.isReady());
  if (missing.length > 0) await runMissing(missing, cacheDir());
  if (purpose !== "lint" && (missing.length > 0 || !toolchainIsCurrent())) recordToolchain(cacheDir());
}

/** The tasks in no particular order: each starts when those it names in `after` are done. */
function bootstrapTasks(cache: string, purpose: Purpose): Task[] {
  const packages = packagesFor(purpose);
  const dev = purpose === "lint" || purpose === "test" || purpose === "compare";
  const common: Task[] = [
    {
      title: "system packages",
      isReady: () => missingPackages(packages).length === 0,
      run: (ctx) => installPackages(ctx, packages),
    },
    {
      title: "Python",
      after: ["system packages"],
      isReady: () => pythonIsReady(cache, { dev }),
      run: (ctx) => ensurePython(ctx, { dev }),
    },
  ];
  if (purpose === "lint") return common;
  const s3Server: Task = {
    title: "S3 server",
    after: ["system packages"],
    heavy: true,
    isReady: () => s3ServerIsReady(cache),
    run: ensureS3Server,
  };
  const webPage: Task = {
    title: "llama-server's web page",
    after: ["llama.cpp"],
    heavy: true,
    isReady: () => builtWebPage(cache) !== undefined,
    run: async (ctx) => formatBytes((await ensureWebPage(ctx)).bytes),
  };
  return [
    ...common,
    ...(purpose === "test" ? [s3Server, webPage] : []),
    {
      title: "Pulumi engine",
      after: ["system packages"],
      heavy: true,
      isReady: () => chosenEngine(cache) !== undefined && installedCommandPlugin(cache) !== undefined,
      run: async (ctx) => {
        const engine = await ensureEngine(ctx);
        const plugin = await ensureCommandPlugin(ctx, engine);
        return `${engine.reason}; command plugin: ${plugin}`;
      },
    },
    {
      title: "llama.cpp",
      after: ["Python"],
      heavy: true,
      isReady: () => installedLlamaCpp(cache) !== undefined,
      run: async (ctx) => {
        await ensureLlamaCpp({ ...ctx, python: pythonEnvironment(cache).python });
        return `${llamaCppVersion}, for this machine and for the Pi`;
      },
    },
    {
      title: "virtual Pi image",
      after: ["system packages"],
      heavy: true,
      isReady: () => imageIsReady(cache),
      run: async (ctx) => {
        await buildImage(ctx);
        return imageDigest().slice(0, 12);
      },
    },
  ];
}

/** Shows and runs what is not ready; Ctrl-C stops it in an orderly way. */
async function runMissing(tasks: readonly Task[], cache: string): Promise<void> {
  const { runTasks } = await import("./run-tasks.ts"); // listr2 takes a while to load, and is seldom needed
  const interrupted = new AbortController();
  const onSignal = () => {
    interrupted.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  const titles = tasks.map(({ title }) => title);
  console.error(`bootstrap: putting in place ${titles.join(", ")}; cache ${cache}`);
  try {
    const present = tasks.map((task) => ({
      ...task,
      after: task.after?.filter((title) => titles.includes(title)),
      run: (ctx: TaskContext) => runLocked(task, ctx),
    }));
    await runTasks(present, { cacheDir: cache, signal: interrupted.signal, heavyAtOnce: heavyAtOnce() });
  } catch (error) {
    if (!interrupted.signal.aborted) throw error;
    throw new UserError({
      where: "bootstrap",
      what: "interrupted; what is done so far is kept",
      remedy: "run the same command again to go on",
    });
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}

/** One bootstrap at a time does a task; whoever waited for it mostly finds it done. */
async function runLocked(task: Task, ctx: TaskContext): Promise<string> {
  const onWait = () => {
    ctx.progress("another bootstrap is at it; waiting");
  };
  return withLock(layout(ctx.cacheDir).lock(task.title), onWait, async () =>
    task.isReady() ? "already there" : task.run(ctx),
  );
}

/** Memory that the largest of the heavy tasks, the engine's build, was seen to use, with room to spare. */
const HEAVY_TASK_BYTES = 4e9;

/**
 * Every heavy task uses all cores in its compile phase, and one in its link and unpack phases: two side by side
 * fill those gaps. More would only cost memory.
 */
function heavyAtOnce(): number {
  return Math.max(1, Math.min(2, availableParallelism(), Math.floor(totalmem() / HEAVY_TASK_BYTES)));
}

/** Writes down where everything is. */
function recordToolchain(cache: string): void {
  const { python, ansiblePlaybook } = pythonEnvironment(cache);
  const llamaCpp = installedLlamaCpp(cache);
  if (llamaCpp === undefined) throw new Error("llama.cpp: built, yet not found ready; this is a bug");
  const virtualPiImage = { dir: imageDir(cache), digest: imageDigest() };
  writeToolchain({ python, ansiblePlaybook, llamaCpp, virtualPiImage });
}
