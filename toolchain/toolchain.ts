import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { UserError } from "../common/user-error.ts";
import { cacheDir } from "../common/paths.ts";

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
      files: z.object({ "llama-server": releaseFile }).catchall(releaseFile),
    }),
  }),
  virtualPiImage: z.object({ dir: z.string(), digest: z.string() }),
});

export type Toolchain = z.infer<typeof toolchainSchema>;

/** Reads `toolchain.json`. @throws UserError when bootstrap has not run. */
export function readToolchain(): Toolchain {
  const path = join(cacheDir(), "toolchain.json");
  try {
    return toolchainSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    throw new UserError({
      where: path,
      what: "the toolchain is missing or of another version",
      remedy: "run `npm run bootstrap` once; it is what `npm start` does first",
    });
  }
}
