import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { execaSync } from "execa";
import writeFileAtomic from "write-file-atomic";

/** SHA-256, in hex, of a string or of several in order. */
export function sha256(...parts: (string | Buffer)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest("hex");
}

/** SHA-256 of a file of any size, in hex. */
export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** Writes by way of a temporary file, so that a reader sees the old content or the new, never half. */
export function writeAtomically(file: string, content: string, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileAtomic.sync(file, content, { mode });
}

/**
 * Puts a finished file or folder where it belongs; what stood there goes. It is on the disk before it has its name, so that a
 * power cut leaves nothing half under it.
 */
export function putInPlace(finished: string, target: string): void {
  mkdirSync(dirname(target), { recursive: true });
  flushDisk(finished);
  rmSync(target, { recursive: true, force: true });
  renameSync(finished, target);
}

/** Marks as complete what lies beside `stamp`, once that is on the disk. */
export function writeStamp(stamp: string, content = ""): void {
  flushDisk(dirname(stamp));
  writeAtomically(stamp, content);
}

/** One call for thousands of files, which a flush of each would take minutes for. */
function flushDisk(path: string): void {
  execaSync("sync", ["--file-system", path]);
}

/** Absolute paths of all files in a folder and the folders in it, in order. */
export function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** A JSON file's content, or undefined when it is missing or cut short. The caller says what it looks like. */
export function readJsonIfExists(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return undefined;
  }
}
