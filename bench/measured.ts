import { processTree, readProc } from "../common/process/tree.ts";

/** Size of a page of memory; `statm` counts in pages. */
const pageBytes = 4096;

/** What one command took. */
export interface Measured {
  seconds: number;
  /** Most memory of the command and all its descendants. */
  peakRssBytes: number;
}

/** Measures a command that has just been started. @throws what it printed where it did not end well */
export async function measure(
  command: Promise<{ exitCode?: number; all?: string; durationMs: number }> & { pid?: number },
): Promise<Measured> {
  const peak = await peakRssBytes(command.pid ?? 0, command);
  const { exitCode, all, durationMs } = await command;
  if (exitCode !== 0) throw new Error(`ended with ${exitCode ?? "a signal"}:\n${all ?? ""}`);
  return { seconds: durationMs / 1000, peakRssBytes: peak };
}

/** Looks at a process and its descendants until `done`, and keeps the most memory that they had. */
export async function peakRssBytes(root: number, done: Promise<unknown>): Promise<number> {
  let peak = treeRssBytes(root);
  const timer = setInterval(() => {
    peak = Math.max(peak, treeRssBytes(root));
  }, 500);
  await done.finally(() => {
    clearInterval(timer);
  });
  return peak;
}

/**
 * Memory of a process and all its descendants, in bytes: the sum of their resident sets, where pages that several of them
 * share count in each.
 */
export function treeRssBytes(root: number): number {
  const pages = processTree(root).map((pid) => Number(readProc(`/proc/${pid}/statm`)?.split(" ")[1] ?? 0));
  return pageBytes * pages.reduce((sum, count) => sum + count, 0);
}
