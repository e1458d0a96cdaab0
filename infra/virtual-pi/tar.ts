/** One file of an archive. */
export interface TarEntry {
  /** Path without a leading slash, at most 100 bytes. */
  path: string;
  content: string;
  /** Permission bits, e.g. `0o600`. */
  mode: number;
  /** Owner and group. @default 0 */
  owner?: number;
}

const blockBytes = 512;

/** An uncompressed ustar archive of plain files: all that a seed disk needs, so not worth a dependency. */
export function buildTar(entries: TarEntry[]): Buffer {
  const parts = entries.flatMap((entry) => {
    const content = Buffer.from(entry.content);
    return [buildHeader(entry, content.length), padToBlock(content)];
  });
  return Buffer.concat([...parts, Buffer.alloc(2 * blockBytes)]);
}

function buildHeader({ path, mode, owner = 0 }: TarEntry, size: number): Buffer {
  if (Buffer.byteLength(path) > 100) throw new RangeError(`path is too long for a ustar header: ${path}`);
  const header = Buffer.alloc(blockBytes);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  header.write(path, 0);
  header.write(octal(mode, 7), 100);
  header.write(octal(owner, 7), 108);
  header.write(octal(owner, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(0, 11), 136); // modified: the epoch, so that equal seeds are equal files
  header.write(" ".repeat(8), 148); // checksum, counted as blanks
  header.write("0", 156); // a plain file
  header.write("ustar\u000000", 257);
  const checksum = header.reduce((sum, byte) => sum + byte, 0);
  header.write(`${octal(checksum, 6)}\0 `, 148);
  return header;
}

function padToBlock(content: Buffer): Buffer {
  return Buffer.concat([content, Buffer.alloc((blockBytes - (content.length % blockBytes)) % blockBytes)]);
}
