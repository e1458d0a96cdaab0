import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the checkout this code runs from. */
export const repoRoot = resolve(dirname(fileURLToPath(import.meta.url)), "..");

/** Everything pinned and rebuildable: toolchains, engine, images. Deleting it costs time, never data. */
export function cacheDir(): string {
  return (
    process.env.PIPRESS_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "pipress")
  );
}

/** What a user keeps for this program: the passphrase of their stacks. */
export function configDir(): string {
  return join(process.env.XDG_CONFIG_HOME ?? join(homedir(), ".config"), "pipress");
}

/** What must not be lost: artifact store, jobs and their checkpoints, Pulumi state, disks of virtual hosts. */
export function dataDir(): string {
  return (
    process.env.PIPRESS_DATA ??
    join(process.env.XDG_DATA_HOME ?? join(homedir(), ".local", "share"), "pipress")
  );
}
