import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { dataDir } from "../paths.ts";
import { FileStore } from "./file-store.ts";
import { S3Store } from "./s3-store.ts";
import type { Store } from "./store.ts";

/** The store that a stack's configuration names; without one, a folder under the data directory. */
export function openStore(url = pathToFileURL(join(dataDir(), "store")).href): Store {
  return url.startsWith("s3:") ? new S3Store(url) : new FileStore(url);
}
