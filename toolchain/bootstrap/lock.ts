import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Runs `work` while holding an exclusive lock on `file`; `onWait` is called once if somebody else has it.
 *
 * The lock is the kernel's, held by a flock(1) child that lives as long as our end of its stdin: however this
 * process ends, SIGKILL included, the lock is free again. A lock file with a pid in it would need guessing.
 */
export async function withLock<T>(file: string, onWait: () => void, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const holder = (await take(file, ["--nonblock"])) ?? (onWait(), await take(file, []));
  if (holder === undefined) throw new Error(`flock ${file}: could not get the lock`);
  try {
    return await work();
  } finally {
    holder.stdin?.end();
  }
}

/** Starts a holder; resolves once it has the lock, or with undefined when it ended without. */
function take(file: string, options: string[]): Promise<ChildProcess | undefined> {
  // A session of its own: Ctrl-C in the terminal must not let go of the lock before we do.
  const holder = spawn("flock", [...options, file, "sh", "-c", "echo; exec cat >/dev/null"], {
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
  });
  return new Promise((resolve, reject) => {
    holder.once("error", reject);
    holder.once("exit", () => {
      resolve(undefined);
    });
    holder.stdout.once("data", () => {
      holder.stdout.destroy();
      holder.unref();
      resolve(holder);
    });
  });
}
