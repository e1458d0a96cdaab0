import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { z } from "zod";
import { UserError } from "../common/user-error.ts";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { filesBelow, readJsonIfExists, sha256, writeAtomically } from "./bootstrap/files.ts";
import { layout } from "./bootstrap/layout.ts";

const digest = z.string().regex(/^[0-9a-f]{64}$/);
const releaseFile = z.object({ sha256: digest, bytes: z.number(), path: z.string() });

/** What bootstrap put in place, as it wrote it down. Paths are absolute, digests are SHA-256 in hex. */
const toolchainSchema = z.object({
  python: z.string(),
  ansiblePlaybook: z.string(),
  llamaCpp: z.object({
    version: z.string(),
    sourceSha256: digest,
    sourceArchive: z.string(),
    hostBin: z.string(),
    convertScript: z.string(),
    release: z.object({
      digest,
      dir: z.string(),
      files: z.object({ "llama-server": releaseFile, "llama-bench": releaseFile }).catchall(releaseFile),
    }),
  }),
  virtualPiImage: z.object({ dir: z.string(), digest: z.string() }),
});

export type Toolchain = z.infer<typeof toolchainSchema>;

/** Reads `toolchain.json`. @throws UserError when bootstrap has not run. */
export function readToolchain(): Toolchain {
  const path = layout(cacheDir()).toolchain;
  const { data } = toolchainSchema.safeParse(readJsonIfExists(path));
  if (data !== undefined) return data;
  throw new UserError({
    where: path,
    what: "the toolchain is missing or of another version",
    remedy: "run `npm run bootstrap` once; it is what `npm start` does first",
  });
}

/** Folders and files whose content decides what bootstrap puts in place. */
const INPUTS = ["bootstrap", "engine", "llama-cpp", "virtual-pi-image"].map((name) =>
  join("toolchain", name),
);

/** Digest of everything in the clone that decides the toolchain: another one, and every part is looked at anew. */
function inputsDigest(): string {
  const files = INPUTS.flatMap((folder) => filesBelow(join(repoRoot, folder)));
  const inputs = [join(repoRoot, "models", "requirements.lock"), ...files].filter(
    (file) => !file.endsWith(".test.ts"),
  );
  return sha256(...inputs.flatMap((file) => [relative(repoRoot, file), readFileSync(file)]));
}

/** Whether `toolchain.json` was written for the clone as it is now. */
export function toolchainIsCurrent(): boolean {
  const written = readJsonIfExists(layout(cacheDir()).toolchain) as { inputs?: string } | undefined;
  return written?.inputs === inputsDigest();
}

/** Writes `toolchain.json`. */
export function writeToolchain(toolchain: Toolchain): void {
  const content = { ...toolchain, inputs: inputsDigest() };
  writeAtomically(layout(cacheDir()).toolchain, JSON.stringify(content, null, 2) + "\n");
}
