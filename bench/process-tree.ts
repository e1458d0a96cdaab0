import { readdirSync, readFileSync } from "node:fs";

/** Size of a page of memory; `statm` counts in pages. */
const pageBytes = 4096;

/** Process ids of a process and all its descendants, parents before their children. */
export function processTree(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const parent = Number.isInteger(pid) ? parentOf(pid) : undefined;
    if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const tree = [root];
  for (const pid of tree) tree.push(...(children.get(pid) ?? []));
  return tree;
}

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

/** Undefined for a process that has ended meanwhile. */
function parentOf(pid: number): number | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The command stands in parentheses and may hold anything; after it come state and parent.
  const parent = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[1];
  return parent === undefined ? undefined : Number(parent);
}

function rssOf(pid: number): number {
  return Number(read(`/proc/${pid}/statm`)?.split(" ")[1] ?? 0) * pageBytes;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
