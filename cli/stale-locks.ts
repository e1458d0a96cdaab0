import { existsSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { readProc } from "../common/process/tree.ts";
import { filesBelow, readJsonIfExists } from "../toolchain/bootstrap/files.ts";

/** What pulumi writes into a lock of a file backend. */
const lockSchema = z.object({ pid: z.number().int().positive(), hostname: z.string() });

/**
 * Removes the locks that pulumi processes of this machine left behind when they were killed, and returns which stacks'.
 *
 * pulumi lets go of a stack's lock when it ends in an orderly way; after SIGKILL or a power cut every later command would be
 * refused until somebody runs `pulumi cancel`. A lock of another machine, or of a process that lives, is left alone.
 *
 * @param backend address of the backend; anything but a `file://` one is not touched
 */
export function removeStaleLocks(backend: string, isAlive = isLivingPulumi): string[] {
  if (!backend.startsWith("file://")) return [];
  const locks = join(fileURLToPath(backend), ".pulumi", "locks");
  const stacks = new Set<string>();
  const files = existsSync(locks) ? filesBelow(locks) : []; // nothing was ever locked
  for (const file of files.filter((name) => name.endsWith(".json"))) {
    const lock = lockSchema.safeParse(readJsonIfExists(file)).data;
    // A lock that cannot be read is being written: somebody is alive.
    if (lock === undefined || lock.hostname !== hostname() || isAlive(lock.pid)) continue;
    rmSync(file, { force: true });
    rmSync(`${file}.attrs`, { force: true });
    stacks.add(basename(join(file, "..")));
  }
  return [...stacks];
}

/** Whether process `pid` is there and is a pulumi: after a reboot its number may belong to anything. */
function isLivingPulumi(pid: number): boolean {
  return readProc(`/proc/${String(pid)}/comm`)?.startsWith("pulumi") ?? false;
}
