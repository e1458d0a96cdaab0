import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { runsFromDisk } from "./qemu.ts";

/**
 * Process ids of the QEMU that runs from `disk`: usually one or none. The process table is asked, not a pid file,
 * which is stale after a power cut and whose number may belong to anybody by then.
 */
export async function findMachineProcesses(disk: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const cmdline = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return runsFromDisk(cmdline, disk) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

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

function signalAll(pids: number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}
