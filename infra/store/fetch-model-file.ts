import { join } from "node:path";
import { execa } from "execa";
import { dataDir, repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { openStore } from "./open-store.ts";

/** A file of an artifact, wherever it is: the store as the configuration names it, the artifact's key, the file's name. */
export interface ArtifactFile {
  store: string;
  key: string;
  file: string;
}

/** By store and key: hosts that begin together share one download, and one check of gigabytes. */
const downloads = new Map<string, Promise<void>>();

/**
 * Path on this machine of a file of an artifact. Where the store is a bucket the artifact is fetched first, every byte
 * checked, once in the life of this process.
 * @param onProgress is called with lines such as `fetching model.gguf · 12 of 96 MB`
 * @throws UserError when it cannot be fetched
 */
export async function fetchModelFile(
  { store: name, key, file }: ArtifactFile,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<string> {
  const store = await openStore(name);
  if (store.url.startsWith("s3:")) {
    const id = `${name} ${key}`;
    const download = downloads.get(id) ?? fetchArtifact(store.url, key, onProgress, signal);
    downloads.set(id, download);
    await download.catch((error: unknown) => {
      downloads.delete(id);
      throw error;
    });
  }
  return join(store.localFolder(key), file);
}

async function fetchArtifact(
  url: string,
  key: string,
  onProgress: (line: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const jobs = join(dataDir(), "jobs");
  const child = execa(readToolchain().python, ["-m", "pipress", "store", "fetch", "--jobs", jobs, url, key], {
    env: { PYTHONPATH: join(repoRoot, "models") },
    cancelSignal: signal,
    reject: false,
    stdin: "ignore",
  });
  let last = "";
  for await (const line of child.iterable({ from: "stderr" })) {
    last = line;
    onProgress(line);
  }
  const { exitCode } = await child;
  if (exitCode !== 0)
    throw new UserError({
      where: url,
      what: last || `artifact ${key} could not be fetched`,
      remedy: "run `up` again when the store can be reached",
    });
}
