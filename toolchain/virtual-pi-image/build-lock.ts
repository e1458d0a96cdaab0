import { existsSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

export interface LockOptions {
  progress: (message: string) => void;
  signal?: AbortSignal;
}

/** Runs `action` while holding a lock file that names this process; a lock whose process is gone counts for nothing. */
export async function withBuildLock<T>(
  path: string,
  options: LockOptions,
  action: () => Promise<T>,
): Promise<T> {
  while (!(await take(path))) {
    options.progress("another process is building it, waiting");
    await sleep(3_000, undefined, { signal: options.signal });
  }
  try {
    return await action();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string): Promise<boolean> {
  const claim = () =>
    writeFile(path, String(process.pid), { flag: "wx" }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === "EEXIST") return false;
        throw error;
      },
    );
  if (await claim()) return true;
  const holder = (await readFile(path, "utf8").catch(() => "")).trim();
  if (holder === "" || existsSync(`/proc/${holder}`)) return false;
  await rm(path, { force: true });
  return claim();
}
