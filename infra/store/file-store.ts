import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseManifest, type Manifest } from "./manifest.ts";
import type { Store, StoredItem } from "./store.ts";

/** A store in a folder: `artifacts/<key>/manifest.json` beside the artifact's files. */
export class FileStore implements Store {
  private readonly root: string;

  constructor(readonly url: string) {
    this.root = fileURLToPath(url);
  }

  async manifest(key: string): Promise<Manifest | undefined> {
    const path = join(this.locate(key), "manifest.json");
    try {
      return parseManifest(await readFile(path, "utf8"), path);
    } catch (error) {
      // A stage moves its folder into place as a whole: no manifest means no artifact.
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  locate(key: string): string {
    return join(this.root, "artifacts", key);
  }

  localFolder(key: string): string {
    return this.locate(key);
  }

  async list(): Promise<StoredItem[]> {
    const folders = ["artifacts", "tmp"].map(async (parent) =>
      (await namesIn(join(this.root, parent))).map((key) => ({ key, folder: join(this.root, parent, key) })),
    );
    const items = (await Promise.all(folders)).flat().map(async ({ key, folder }): Promise<StoredItem> => {
      const whole = folder === this.locate(key) && (await namesIn(folder)).includes("manifest.json");
      return { kind: whole ? "artifact" : "leftovers", key, folder, ...(await measure(folder)) };
    });
    return Promise.all(items);
  }

  async remove({ folder }: StoredItem): Promise<void> {
    if (folder === undefined) return;
    await rm(join(folder, "manifest.json"), { force: true });
    await rm(folder, { recursive: true, force: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Size of all files under a folder, and when the latest of them was written. */
async function measure(folder: string): Promise<{ bytes: number; changed: Date }> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  const stats = await Promise.all(
    [folder, ...files.map(({ parentPath, name }) => join(parentPath, name))].map((path) => stat(path)),
  );
  return {
    bytes: stats.slice(1).reduce((sum, { size }) => sum + size, 0),
    changed: new Date(Math.max(...stats.map(({ mtimeMs }) => mtimeMs))),
  };
}
