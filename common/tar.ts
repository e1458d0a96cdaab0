import { Header, Pack, ReadEntry } from "tar";

/** One plain file of an archive. */
export interface TarFile {
  /** Path without a leading slash. */
  path: string;
  content: string | Buffer;
  /** Permission bits, e.g. `0o600`. */
  mode: number;
  /** Owner and group. @default 0 */
  owner?: number;
}

/** An uncompressed tar archive. Every file is of the epoch, so that equal files are equal archives on every machine. */
export function packTar(files: readonly TarFile[]): Buffer {
  const chunks: Buffer[] = [];
  // Nothing is read from a disk and somebody listens: all of it happens before `end` returns.
  const pack = new Pack({ mtime: new Date(0), strict: true }).on("data", (chunk) => chunks.push(chunk));
  for (const { path, content, mode, owner = 0 } of files) {
    const size = Buffer.byteLength(content);
    const entry = new ReadEntry(new Header({ path, mode, uid: owner, gid: owner, size, type: "File" }));
    entry.end(Buffer.from(content));
    pack.add(entry);
  }
  pack.end();
  return Buffer.concat(chunks);
}
