import { createHash } from "node:crypto";
import { cp, mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { sha256OfFile } from "./source.ts";

/** One file of a release. */
export interface ReleaseFile {
  sha256: string;
  bytes: number;
  /** Absolute path in the cache. */
  path: string;
}

/** What of llama.cpp the fleet runs: two static programs under one digest. */
export interface LlamaCppRelease {
  dir: string;
  files: Record<"llama-server" | "llama-bench", ReleaseFile>;
  /** SHA-256 over names and digests of `files`. */
  digest: string;
}

const programs = ["llama-server", "llama-bench"] as const;

/** File in the release folder that lists every option this llama-server accepts. */
export const serverFlagsFile = "server-flags.json";

/** Strips the cross-built programs and lays them out, with the list of server options, as one folder. */
export async function layOutRelease(binDir: string, serverFlags: string, dir: string): Promise<void> {
  const part = `${dir}.part`;
  await rm(part, { recursive: true, force: true });
  await mkdir(part, { recursive: true });
  for (const name of programs) {
    await execa("aarch64-linux-gnu-strip", ["--strip-all", "-o", join(part, name), join(binDir, name)]);
  }
  await cp(serverFlags, join(part, serverFlagsFile));
  await rm(dir, { recursive: true, force: true });
  await rename(part, dir);
}

/** Reads a release folder: digests and sizes of its programs. */
export async function describeRelease(dir: string): Promise<LlamaCppRelease> {
  const entries = await Promise.all(
    programs.map(async (name) => {
      const path = join(dir, name);
      return [name, { sha256: await sha256OfFile(path), bytes: (await stat(path)).size, path }] as const;
    }),
  );
  const files = Object.fromEntries(entries) as LlamaCppRelease["files"];
  return { dir, files, digest: releaseDigest(files) };
}

/** Digest of a release, independent of where it lies and of the order of its files. */
export function releaseDigest(files: Record<string, Pick<ReleaseFile, "sha256">>): string {
  const hash = createHash("sha256");
  for (const name of Object.keys(files).sort()) hash.update(`${name} ${files[name]?.sha256 ?? ""}\n`);
  return hash.digest("hex");
}
