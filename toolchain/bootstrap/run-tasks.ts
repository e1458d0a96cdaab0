import { EventEmitter, once } from "node:events";
import { Listr, ListrLogger, ProcessOutput } from "listr2";
import pLimit from "p-limit";
import { PlainRenderer } from "./plain-renderer.ts";
import { Reporter } from "./reporter.ts";
import type { Task } from "./task.ts";

export interface RunOptions {
  cacheDir: string;
  /** Aborted on Ctrl-C. */
  signal: AbortSignal;
  /** How many heavy tasks run side by side. */
  heavyAtOnce: number;
}

/**
 * Runs tasks side by side, each as soon as those it comes after are done, and shows them on stderr: a list that
 * redraws itself in a terminal, one line per event elsewhere. The first failure stops the others and is thrown.
 */
export async function runTasks(
  tasks: readonly Task[],
  { cacheDir, signal, heavyAtOnce }: RunOptions,
): Promise<void> {
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const heavy = pLimit(heavyAtOnce);
  const done = new Set<string>();
  const endings = new EventEmitter();
  let failure: unknown;

  const runOne = async (task: Task, reporter: Reporter): Promise<string> => {
    for (const title of task.after ?? []) {
      reporter.progress(`waiting for ${title}`);
      if (!done.has(title)) await once(endings, title, { signal: either });
    }
    const work = () => task.run({ cacheDir, signal: either, progress: reporter.progress });
    if (task.heavy !== true) return work();
    if (heavy.activeCount + heavy.pendingCount >= heavyAtOnce) reporter.progress("waiting for a free core");
    return heavy(work);
  };

  const list = new Listr(
    tasks.map((task) => ({
      title: task.title,
      task: async (_: unknown, shown: { output: string; title: string }) => {
        const reporter = new Reporter((line) => (shown.output = line), quietMs());
        try {
          const outcome = await runOne(task, reporter);
          shown.title = `${task.title}: ${outcome} (${reporter.elapsed()})`;
          done.add(task.title);
          endings.emit(task.title);
        } catch (error) {
          failure ??= error; // the first is the cause, the others were stopped because of it
          stop.abort();
          throw error;
        } finally {
          reporter.stop();
        }
      },
    })),
    { concurrent: true, exitOnError: false, registerSignalListeners: false, ...renderer() },
  );
  await list.run();
  signal.throwIfAborted();
  if (failure !== undefined) throw failure;
}

/** On stderr, so that `./pipress pulumi stack output --json` has nothing but JSON on stdout. */
function renderer() {
  const logger = new ListrLogger({ processOutput: new ProcessOutput(process.stderr, process.stderr) });
  return {
    renderer: "default" as const,
    rendererOptions: { logger, showErrorMessage: false },
    fallbackRenderer: PlainRenderer,
    fallbackRendererCondition: () => !process.stderr.isTTY,
  };
}

/** A list that redraws itself may change often; lines that stay may not. */
function quietMs(): number | undefined {
  return process.stderr.isTTY ? 200 : undefined;
}
