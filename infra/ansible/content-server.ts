import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import { UserError } from "../../common/user-error.ts";
import { parseRange } from "./range.ts";
import { Throttle } from "./throttle.ts";

/** One for all servers of this process: what is limited is the line that they share. */
const line = new Throttle();

/** A file to serve, known by its SHA-256 (hex). */
export interface ServedFile {
  sha256: string;
  bytes: number;
  /** Absolute path on this machine. */
  path: string;
}

/** How far a download is: bytes of the file that its reader has been sent, counting where it resumed. */
export interface Transfer {
  file: ServedFile;
  sentTo: number;
}

export interface ContentServer {
  /** Port on loopback. */
  port: number;
  /** Ends open downloads too. */
  close(): Promise<void>;
}

/**
 * Serves exactly the given files, as `GET /sha256/<hex>` on a free loopback port, with byte ranges so that an interrupted
 * download resumes. It verifies sizes only: whoever pulls by digest verifies the digest.
 *
 * @param bytesPerSecond what all servers of this process together send at most; undefined for no limit
 * @throws UserError when a file is missing or has another size
 */
export async function startContentServer(
  files: readonly ServedFile[],
  onTransfer: (transfer: Transfer) => void = () => undefined,
  bytesPerSecond?: number,
): Promise<ContentServer> {
  await Promise.all(files.map(verifySize));
  const byPath = new Map(files.map((file) => [`/sha256/${file.sha256}`, file]));
  const server = createServer((request, response) => {
    const file = byPath.get(request.url ?? "");
    if (file === undefined) answer(response, 404, "no such file here\n");
    else if (request.method !== "GET" && request.method !== "HEAD")
      answer(response, 405, "GET or HEAD only\n");
    else void sendFile(file, request, response, onTransfer, bytesPerSecond);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

async function verifySize({ path, bytes, sha256 }: ServedFile): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.size === bytes) return;
  throw new UserError({
    where: path,
    what:
      found === undefined
        ? `the file is missing (SHA-256 ${sha256})`
        : `the file has ${found.size} bytes where its manifest says ${bytes}`,
    remedy: "delete the artifact that holds it; the next `up` makes it again",
  });
}

async function sendFile(
  file: ServedFile,
  request: IncomingMessage,
  response: ServerResponse,
  onTransfer: (transfer: Transfer) => void,
  bytesPerSecond: number | undefined,
): Promise<void> {
  const etag = `"${file.sha256}"`;
  // If-Range: a reader that began with other content must not splice; ours never changes under its digest.
  const resumable = (request.headers["if-range"] ?? etag) === etag;
  const range = resumable ? parseRange(request.headers.range, file.bytes) : undefined;
  const headers = {
    "accept-ranges": "bytes",
    "content-type": "application/octet-stream",
    etag,
  };
  if (range === "unsatisfiable") {
    response.writeHead(416, { ...headers, "content-range": `bytes */${file.bytes}` }).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: file.bytes - 1 };
  response.writeHead(range === undefined ? 200 : 206, {
    ...headers,
    "content-length": end - start + 1,
    ...(range && { "content-range": `bytes ${start}-${end}/${file.bytes}` }),
  });
  if (request.method === "HEAD" || file.bytes === 0) {
    response.end();
    return;
  }
  let sentTo = start;
  const body = createReadStream(file.path, { start, end, highWaterMark: 256 * 1024 });
  async function* paced(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      await line.take(chunk.length, bytesPerSecond);
      sentTo += chunk.length;
      onTransfer({ file, sentTo });
      yield chunk;
    }
  }
  // A reader that goes away resumes later; a file that cannot be read ends the response short, which the reader sees.
  await pipeline(body, paced, response).catch(() => response.destroy());
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" }).end(text);
}
