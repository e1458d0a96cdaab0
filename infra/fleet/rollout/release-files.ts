import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Toolchain } from "../../../toolchain/toolchain.ts";
import { ensureWebPage, type WebPage, webPagesDir } from "../../../toolchain/web-page/index.ts";
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
    z.enum(["llama-server", "llama.cpp", "web-page"]),
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

/** The web page that this machine built. */
export function pageFile({ sha256, bytes }: WebPage): ReleaseFile {
  return { sha256, bytes, source: "web-page" };
}

/** Where the files are on this machine; a model that is in a bucket is fetched first, a page that is missing is built. */
export async function locateFiles(
  files: readonly ReleaseFile[],
  { llamaCpp }: Toolchain,
  log: ResourceLog,
  signal: AbortSignal,
): Promise<ServedFile[]> {
  // Loaded when a play runs, as Ansible is.
  const { fetchModelFile } = await import("../../store/fetch-model-file.ts");
  const report = (line: string): void => log.status(line);
  const pathOf = async (source: ReleaseFile["source"]): Promise<string> => {
    if (source === "llama-server") return llamaCpp.release.files["llama-server"].path;
    if (source === "llama.cpp") return llamaCpp.sourceArchive;
    if (source !== "web-page") return fetchModelFile(source, report, signal);
    // A refresh on another machine runs no program that would have built it.
    return (await ensureWebPage({ cacheDir: cacheDir(), progress: report, signal })).path;
  };
  const located = files.map(async ({ sha256, bytes, source }): Promise<ServedFile> => ({
    ...{ sha256, bytes, path: await pathOf(source), remedy: remedyFor(source) },
  }));
  return Promise.all(located);
}

/** The commands that make a file anew which is not what its digest says. Exported for tests. */
export function remedyFor(source: ReleaseFile["source"]): string {
  if (source === "web-page") return `\`rm -r ${webPagesDir(cacheDir())}\`, then \`./pipress up\``;
  if (typeof source === "string") return `\`rm -r ${join(cacheDir(), "llama.cpp")}\`, then \`npm start\``;
  return `\`./pipress store rm ${source.key.slice(0, 12)} --yes\`, then \`./pipress up\``;
}
