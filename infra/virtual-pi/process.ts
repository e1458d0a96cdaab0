import { readdir, readFile } from "node:fs/promises";
import { runsFromDisk } from "./qemu.ts";

/**
 * Process ids of the QEMU that runs from `disk`: usually one or none. The process table is asked, not a pid file,
 * which is stale after a power cut and whose number may belong to anybody by then.
 */
export async function findMachineProcesses(disk: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const matches = await Promise.all(
    pids.map(async (pid) => {
      const cmdline = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return runsFromDisk(cmdline, disk) ? [Number(pid)] : [];
    }),
  );
  return matches.flat();
}
