import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { dataDir } from "../../common/paths.ts";
import { FileStore } from "./file-store.ts";
import type { Store } from "./store.ts";

/** The store that a stack's configuration names; without one, a folder under the data directory. */
export async function openStore(url = pathToFileURL(join(dataDir(), "store")).href): Promise<Store> {
  if (!url.startsWith("s3:")) return new FileStore(url);
  const { S3Store } = await import("./s3-store.ts"); // the AWS SDK takes half a second to load
  return new S3Store(url);
}
