import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Ends processes: SIGTERM, on which QEMU writes its disks out and quits, then SIGKILL after ten seconds. */
export async function endProcesses(pids: number[]): Promise<void> {
  signalAll(pids, "SIGTERM");
  if (await allGone(pids, 10_000)) return;
  signalAll(pids, "SIGKILL");
  await allGone(pids, 10_000);
}

/** True as soon as none of the processes exists, false when some still do after `milliseconds`. */
export async function allGone(pids: number[], milliseconds: number): Promise<boolean> {
  const deadline = Date.now() + milliseconds;
  while (pids.some((pid) => isAlive(pid))) {
    if (Date.now() > deadline) return false;
    await sleep(100);
  }
  return true;
}

function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** Sends a signal to every process that is still there. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
