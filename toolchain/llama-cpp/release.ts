import { cpSync, mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { putInPlace, sha256, sha256OfFile } from "../bootstrap/files.ts";
import type { Toolchain } from "../toolchain.ts";

/** What of llama.cpp the fleet runs: two static programs under one digest. */
export type LlamaCppRelease = Toolchain["llamaCpp"]["release"];

/** File in the release folder that lists every option this llama-server accepts. */
export const serverFlagsFile = "server-flags.json";

/** Strips the cross-built programs and lays them out, with the list of server options, as one folder. */
export async function makeRelease(
  binDir: string,
  serverFlags: string,
  dir: string,
): Promise<LlamaCppRelease> {
  const part = `${dir}.part`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  const strip = async (name: string) => {
    const file = join(part, name);
    await execa("aarch64-linux-gnu-strip", ["--strip-all", "-o", file, join(binDir, name)]);
    return { sha256: await sha256OfFile(file), bytes: statSync(file).size, path: join(dir, name) };
  };
  const files = { "llama-server": await strip("llama-server"), "llama-bench": await strip("llama-bench") };
  cpSync(serverFlags, join(part, serverFlagsFile));
  putInPlace(part, dir);
  return { dir, files, digest: releaseDigest(files) };
}

/** Digest of a release, independent of where it lies and of the order of its files. */
export function releaseDigest(files: Record<string, { sha256: string }>): string {
  const entries = Object.entries(files).sort(([one], [other]) => (one < other ? -1 : 1));
  return sha256(...entries.map(([name, file]) => `${name} ${file.sha256}\n`));
}
