import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { dataDir } from "../../common/paths.ts";
import { FileStore } from "./file-store.ts";
import type { Store } from "./store.ts";

/** Name of the store where a configuration names none: a folder under the data directory, on every machine its own. */
export const defaultStore = "default";

/** Opens a store by its URL, or by the name of the default one. */
export async function openStore(name = defaultStore): Promise<Store> {
  const url = name === defaultStore ? pathToFileURL(join(dataDir(), "store")).href : name;
  if (!url.startsWith("s3:")) return new FileStore(url);
  const { S3Store } = await import("./s3-store.ts"); // the AWS SDK takes half a second to load
  return new S3Store(url);
}
