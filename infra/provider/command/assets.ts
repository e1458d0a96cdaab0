/** The files a command leaves, as Pulumi assets: `assetPaths` and `archivePaths` (local/commandOutputs.go, globAssets). */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

import { globToRegExp } from "./glob.ts";
import { makeArchive, makeAsset, type WireObject } from "./values.ts";

/**
 * The files under `dir` that the globs select, as paths relative to it. The globs apply in order; one that starts with
 * `!` takes away. Folders are never selected themselves.
 */
export async function findFiles(dir: string, globs: string[]): Promise<string[]> {
  const rules = globs.map((glob) => ({
    include: !glob.startsWith("!"),
    pattern: globToRegExp(glob.replace(/^!/, "")),
  }));
  const selected = (path: string) =>
    rules.reduce((is, { include, pattern }) => (pattern.test(path) ? include : is), false);
  const found: string[] = [];
  await walk(dir, "", (path) => {
    if (selected(path)) found.push(path);
  });
  return found;
}

/** A map from each path to its file asset, with the content's SHA-256. */
export async function toAssets(dir: string, paths: string[]): Promise<WireObject> {
  const assets: WireObject = {};
  for (const path of paths) {
    const file = join(dir, path);
    assets[path] = makeAsset({ path: file, hash: await sha256(file) });
  }
  return assets;
}

/** One archive with all the files. The engine computes its hash where one is needed. */
export async function toArchive(dir: string, paths: string[]): Promise<WireObject> {
  return makeArchive({ assets: await toAssets(dir, paths) });
}

async function walk(root: string, folder: string, visit: (path: string) => void): Promise<void> {
  const entries = await readdir(join(root, folder), { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (entry.isDirectory()) await walk(root, path, visit);
    else visit(path);
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
