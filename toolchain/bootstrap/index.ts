import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import { UserError } from "../../common/user-error.ts";
import { cacheDir as defaultCacheDir } from "../../common/paths.ts";
import { ensureLlamaCpp, isReady as llamaCppIsReady } from "../llama-cpp/index.ts";
import { ensureVirtualPiImage, isReady as virtualPiIsReady } from "../virtual-pi-image/index.ts";
import { chosenEngine, ensureEngine } from "../engine/index.ts";
import { layout } from "./layout.ts";
import { withLock } from "./lock.ts";
import { ensureCommandPlugin, installedCommandPlugin } from "./plugins.ts";
import { ensurePython, pythonEnvironment, pythonIsReady } from "./python.ts";
import {
  EMULATOR_PACKAGES,
  installPackages,
  LINT_PACKAGES,
  missingPackages,
  RUNTIME_PACKAGES,
} from "./system-packages.ts";
import { ensureS3Server, s3ServerIsReady } from "./s3-server.ts";
import type { Task, TaskContext } from "./task.ts";
import { toolchainIsCurrent, writeToolchain } from "./toolchain.ts";

export interface BootstrapOptions {
  cacheDir?: string;
  /**
   * `run`: all that the product needs. `lint`: linters and pytest alone, for checks that run nothing real. `test`: both,
   * and an S3 server. `emulate`: `run`, and the emulator for single programs of the Pi. `compare`: `run`, and the packages
   * that compression is measured by.
   * @default "run"
   */
  purpose?: Purpose;
}

export type Purpose = "run" | "lint" | "test" | "emulate" | "compare";

/**
 * Puts everything in place that pipress needs besides Node: system packages, engine and plugins, Python, llama.cpp,
 * the virtual Pi's image. Says nothing and takes a moment when all is there. What was cut short is gone on with.
 * @throws UserError for what only the user can mend
 */
export async function bootstrap(options: BootstrapOptions = {}): Promise<void> {
  const { cacheDir = defaultCacheDir(), purpose = "run" } = options;
  const toolchain: Record<string, unknown> = {};
  const tasks = bootstrapTasks(cacheDir, purpose, toolchain);
  const record = purpose !== "lint";
  const missing = await unready(tasks);
  if (missing.length === 0 && (!record || toolchainIsCurrent(cacheDir))) return;
  if (missing.length > 0) await runMissing(missing, cacheDir);
  if (record) await recordToolchain(cacheDir, toolchain);
}

/** The tasks in no particular order: each starts when those it names in `after` are done. */
function bootstrapTasks(cacheDir: string, purpose: Purpose, toolchain: Record<string, unknown>): Task[] {
  const packages = {
    run: RUNTIME_PACKAGES,
    lint: LINT_PACKAGES,
    test: [...RUNTIME_PACKAGES, ...LINT_PACKAGES],
    emulate: [...RUNTIME_PACKAGES, ...EMULATOR_PACKAGES],
    compare: RUNTIME_PACKAGES,
  }[purpose];
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
      isReady: () => pythonIsReady(cacheDir, { dev }),
      run: (ctx) => ensurePython(ctx, { dev }),
    },
  ];
  if (purpose === "lint") return common;
  const s3Server: Task = {
    title: "S3 server",
    after: ["system packages"],
    heavy: true,
    isReady: () => s3ServerIsReady(cacheDir),
    run: ensureS3Server,
  };
  return [
    ...common,
    ...(purpose === "test" ? [s3Server] : []),
    {
      title: "Pulumi engine",
      after: ["system packages"],
      heavy: true,
      isReady: () => chosenEngine(cacheDir) !== undefined && installedCommandPlugin(cacheDir) !== undefined,
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
      isReady: () => llamaCppIsReady(cacheDir),
      run: async (ctx) => {
        const { python } = pythonEnvironment(cacheDir);
        const made = await ensureLlamaCpp({ ...ctx, python });
        toolchain.llamaCpp = made;
        return `${made.version}, for this machine and for the Pi`;
      },
    },
    {
      title: "virtual Pi image",
      after: ["system packages"],
      heavy: true,
      isReady: () => virtualPiIsReady(cacheDir),
      run: async (ctx) => {
        const made = await ensureVirtualPiImage(ctx);
        toolchain.virtualPiImage = made;
        return made.digest.slice(0, 12);
      },
    },
  ];
}

async function unready(tasks: readonly Task[]): Promise<Task[]> {
  const ready = await Promise.all(tasks.map((task) => task.isReady()));
  return tasks.filter((_, i) => ready[i] !== true);
}

/** Shows and runs what is not ready; Ctrl-C stops it in an orderly way. */
async function runMissing(tasks: readonly Task[], cacheDir: string): Promise<void> {
  const { runTasks } = await import("./run-tasks.ts"); // listr2 takes a while to load, and is seldom needed
  const interrupted = new AbortController();
  const onSignal = () => {
    interrupted.abort();
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  console.error(
    `bootstrap: putting in place ${tasks.map(({ title }) => title).join(", ")}; cache ${cacheDir}`,
  );
  try {
    const titles = new Set(tasks.map(({ title }) => title));
    const present = tasks.map((task) => ({
      ...task,
      after: task.after?.filter((title) => titles.has(title)),
      run: (ctx: TaskContext) => runLocked(task, ctx),
    }));
    await runTasks(present, { cacheDir, signal: interrupted.signal, heavyAtOnce: heavyAtOnce() });
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
    (await task.isReady()) ? "already there" : task.run(ctx),
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

/** Writes down where everything is. Parts that were ready before are asked again: they answer at once. */
async function recordToolchain(cacheDir: string, made: Record<string, unknown>): Promise<void> {
  const { python, ansiblePlaybook } = pythonEnvironment(cacheDir);
  const engine = chosenEngine(cacheDir);
  const ctx = { cacheDir, progress: () => undefined, python };
  writeToolchain(cacheDir, {
    python,
    ansiblePlaybook,
    pulumi: engine === undefined ? undefined : join(engine.bin, "pulumi"),
    commandPlugin: installedCommandPlugin(cacheDir),
    llamaCpp: made.llamaCpp ?? (await ensureLlamaCpp(ctx)),
    virtualPiImage: made.virtualPiImage ?? (await ensureVirtualPiImage(ctx)),
  });
}
