import { access, constants, mkdir, readdir, readFile, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { UserError } from "../../common/user-error.ts";
import { parseManifest, type Manifest } from "./manifest.ts";
import type { Store, StoredItem } from "./store.ts";

/** A store in a folder: `artifacts/<key>/manifest.json` beside the artifact's files. */
export class FileStore implements Store {
  readonly unseen = undefined;
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
      (await namesIn(join(this.root, parent))).map((name) => join(this.root, parent, name)),
    );
    const items = (await Promise.all(folders)).flat().map(async (folder): Promise<StoredItem[]> => {
      // Under `tmp` it is `<key>.<machine>`.
      const [key = ""] = basename(folder).split(".");
      const whole = folder === this.locate(key) && (await namesIn(folder)).includes("manifest.json");
      const size = await measure(folder);
      return size ? [{ kind: whole ? "artifact" : "leftovers", key, folder, ...size }] : [];
    });
    return (await Promise.all(items)).flat();
  }

  async probe(): Promise<string[]> {
    try {
      await mkdir(this.root, { recursive: true });
      await access(this.root, constants.W_OK);
    } catch (error) {
      throw new UserError({
        where: this.url,
        what: `artifacts cannot be written there: ${(error as Error).message}`,
        remedy: "mend the folder's permissions, or `pipress:store` in the configuration",
      });
    }
    return [];
  }

  async remove({ folder }: StoredItem): Promise<void> {
    if (folder === undefined) return;
    await rm(join(folder, "manifest.json"), { force: true });
    await rm(folder, { recursive: true, force: true });
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return (await unlessGone(readdir(folder))) ?? [];
}

/**
 * Size of all files under a folder, and when the latest of them was written. Undefined when the folder is gone by now; a file
 * that goes meanwhile is not counted: jobs may be at work.
 */
async function measure(folder: string): Promise<{ bytes: number; changed: Date } | undefined> {
  const whole = await unlessGone(stat(folder));
  const entries = await unlessGone(readdir(folder, { withFileTypes: true, recursive: true }));
  if (whole === undefined || entries === undefined) return undefined;
  const files = entries.filter((entry) => entry.isFile());
  const found = await Promise.all(
    files.map(({ parentPath, name }) => unlessGone(stat(join(parentPath, name)))),
  );
  const stats = found.filter((file) => file !== undefined);
  return {
    bytes: stats.reduce((sum, { size }) => sum + size, 0),
    changed: new Date(Math.max(...[whole, ...stats].map(({ mtimeMs }) => mtimeMs))),
  };
}

async function unlessGone<T>(action: Promise<T>): Promise<T | undefined> {
  try {
    return await action;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
