import { processTree, readProc } from "../common/process/tree.ts";

/** Size of a page of memory; `statm` counts in pages. */
const pageBytes = 4096;

/**
 * Memory of a process and all its descendants, in bytes: the sum of their resident sets, where pages that several of them
 * share count in each.
 */
export function treeRssBytes(root: number): number {
  return processTree(root).reduce((bytes, pid) => bytes + rssOf(pid), 0);
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

function rssOf(pid: number): number {
  return Number(readProc(`/proc/${pid}/statm`)?.split(" ")[1] ?? 0) * pageBytes;
}
