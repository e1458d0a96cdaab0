import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseManifest, type Manifest } from "../artifact/manifest.ts";
import type { Store } from "./store.ts";

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
}
