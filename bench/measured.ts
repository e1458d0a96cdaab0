import { readdirSync } from "node:fs";
import { processTree, readProc } from "../common/process/tree.ts";

/** What one command took. */
export interface Measured {
  seconds: number;
  /** Most memory of the command and all its descendants. */
  peakBytes: number;
}

/**
 * Measures a command that has just been started.
 * @param marker of processes that have left the command's tree and count nevertheless: in their command line
 * @throws what it printed where it did not end well
 */
export async function measure(
  command: Promise<{ exitCode?: number; all?: string; durationMs: number }> & { pid?: number },
  marker?: string,
): Promise<Measured> {
  const peak = await peakBytes(command.pid ?? 0, command, marker);
  const { exitCode, all, durationMs } = await command;
  if (exitCode !== 0) throw new Error(`ended with ${exitCode ?? "a signal"}:\n${all ?? ""}`);
  return { seconds: durationMs / 1000, peakBytes: peak };
}

/** Looks at processes until `done`, and keeps the most memory that they had. A look takes at most 2 % of the time. */
export async function peakBytes(root: number, done: Promise<unknown>, marker?: string): Promise<number> {
  let peak = 0;
  let timer: NodeJS.Timeout;
  const look = (): void => {
    const began = performance.now();
    peak = Math.max(peak, memoryBytes(root, marker));
    timer = setTimeout(look, Math.max(500, 50 * (performance.now() - began)));
  };
  look();
  await done.finally(() => {
    clearTimeout(timer);
  });
  return peak;
}

/**
 * Memory of a process, all its descendants and those marked, in bytes: the sum of their proportional set sizes (PSS of
 * /proc/PID/smaps_rollup), where a page that several processes share counts once.
 */
export function memoryBytes(root: number, marker?: string): number {
  const pids = new Set([...processTree(root), ...(marker === undefined ? [] : markedProcesses(marker))]);
  return [...pids].reduce((sum, pid) => sum + proportionalBytes(pid), 0);
}

function markedProcesses(marker: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => Number.isInteger(pid) && readProc(`/proc/${pid}/cmdline`)?.includes(marker));
}

function proportionalBytes(pid: number): number {
  const kibibytes = /^Pss:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/smaps_rollup`) ?? "")?.[1];
  return 1024 * Number(kibibytes ?? 0);
}
