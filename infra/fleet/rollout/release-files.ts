import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Toolchain } from "../../../toolchain/toolchain.ts";
import type { ServedFile } from "../../ansible/content-server.ts";
import { cacheDir } from "../../../common/paths.ts";
import type { ResourceLog } from "../../plugin/handler.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256 in hex");

/**
 * A file that a play can pull by digest, and where this machine has it from: an artifact of the store, or the toolchain. The
 * state holds no path, because the next `up` may run on another machine.
 */
export const releaseFileSchema = z.strictObject({
  sha256,
  bytes: z.int().min(0),
  source: z.union([
    z.strictObject({ store: z.string().min(1), key: sha256, file: z.string().min(1) }),
    z.enum(["llama-server", "llama.cpp"]),
  ]),
});

export type ReleaseFile = z.infer<typeof releaseFileSchema>;

/** The server that this machine built. */
export function serverFile({ llamaCpp }: Toolchain): ReleaseFile {
  const { sha256, bytes } = llamaCpp.release.files["llama-server"];
  return { sha256, bytes, source: "llama-server" };
}

/** The source that a host builds its server from. */
export function sourceFile({ llamaCpp }: Toolchain): ReleaseFile {
  const { sourceSha256: sha256, sourceArchive } = llamaCpp;
  return { sha256, bytes: statSync(sourceArchive).size, source: "llama.cpp" };
}

/** Where the files are on this machine; a model that is in a bucket is fetched first. */
export async function locateFiles(
  files: readonly ReleaseFile[],
  { llamaCpp }: Toolchain,
  log: ResourceLog,
  signal: AbortSignal,
): Promise<ServedFile[]> {
  // Loaded when a play runs, as Ansible is.
  const { fetchModelFile } = await import("../../store/fetch-model-file.ts");
  const paths = {
    "llama-server": llamaCpp.release.files["llama-server"].path,
    "llama.cpp": llamaCpp.sourceArchive,
  };
  const report = (line: string): void => log.status(line);
  const located = files.map(async ({ sha256, bytes, source }): Promise<ServedFile> => {
    const path = typeof source === "string" ? paths[source] : await fetchModelFile(source, report, signal);
    return { sha256, bytes, path, remedy: remedyFor(source) };
  });
  return Promise.all(located);
}

/** The commands that make a file anew which is not what its digest says. Exported for tests. */
export function remedyFor(source: ReleaseFile["source"]): string {
  if (typeof source === "string") return `\`rm -r ${join(cacheDir(), "llama.cpp")}\`, then \`npm start\``;
  return `\`./pipress store rm ${source.key.slice(0, 12)} --yes\`, then \`./pipress up\``;
}
