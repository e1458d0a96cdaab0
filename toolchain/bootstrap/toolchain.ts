import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { readJsonIfExists, sha256, writeAtomically } from "./files.ts";
import { layout } from "./layout.ts";

/** Folders and files whose content decides what bootstrap puts in place. */
const INPUTS = [
  "models/requirements.lock",
  "toolchain/bootstrap",
  "toolchain/engine",
  "toolchain/llama-cpp",
  "toolchain/virtual-pi-image",
];

/** Digest of everything in the clone that decides the toolchain: another one, and every part is looked at anew. */
export function inputsDigest(): string {
  const files = INPUTS.flatMap((path) => filesBelow(join(repoRoot, path)));
  return sha256(...files.flatMap((file) => [relative(repoRoot, file), readFileSync(file)]));
}

function filesBelow(path: string): string[] {
  if (path.endsWith(".lock")) return [path];
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Whether `toolchain.json` was written for the clone as it is now. */
export function toolchainIsCurrent(cacheDir: string): boolean {
  const written = readJsonIfExists(layout(cacheDir).toolchain);
  return (written as { inputs?: string } | undefined)?.inputs === inputsDigest();
}

/** Writes `toolchain.json`, which `toolchain/toolchain.ts` reads. */
export function writeToolchain(cacheDir: string, toolchain: Record<string, unknown>): void {
  const content = { ...toolchain, inputs: inputsDigest() };
  writeAtomically(layout(cacheDir).toolchain, JSON.stringify(content, null, 2) + "\n");
}
