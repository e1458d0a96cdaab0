import { once } from "node:events";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pipeline } from "node:stream/promises";
import send from "send";
import { UserError } from "../../common/user-error.ts";
import { Throttle } from "./throttle.ts";

/** One for all servers of this process: what is limited is the line that they share. */
const line = new Throttle();

/** A file to serve, known by its SHA-256 (hex). */
export interface ServedFile {
  sha256: string;
  bytes: number;
  /** Absolute path on this machine. */
  path: string;
  /** The commands that make it anew, for messages about a file that is not what it should be. */
  remedy: string;
}

/** How far a download is: bytes of the file that its reader has been sent, counting where it resumed. */
export interface Transfer {
  file: ServedFile;
  sentTo: number;
}

/** What `send` reports instead of answering: a range beyond the end, a file that went away. */
interface HttpError extends Error {
  status: number;
  headers?: Record<string, string>;
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
    else sendFile(file, request, response, onTransfer, bytesPerSecond);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function verifySize({ path, bytes, sha256, remedy }: ServedFile): Promise<void> {
  const status = await stat(path).catch(() => undefined);
  if (status?.size === bytes) return;
  throw new UserError({
    where: path,
    what:
      status === undefined
        ? `the file is missing (SHA-256 ${sha256})`
        : `the file has ${status.size} bytes where its manifest says ${bytes}`,
    remedy,
  });
}

/** Sends what the reader asks for; `send` reads its headers, the bytes go out at the pace that is allowed. */
function sendFile(
  file: ServedFile,
  request: IncomingMessage,
  response: ServerResponse,
  onTransfer: (transfer: Transfer) => void,
  bytesPerSecond: number | undefined,
): void {
  const reply = send(request, encodeURI(file.path), {
    dotfiles: "allow",
    index: false,
    etag: false,
    lastModified: false,
    cacheControl: false,
  });
  reply.on("headers", () => {
    // A reader that began with other content must not splice (If-Range); ours never changes under its digest.
    response.setHeader("etag", `"${file.sha256}"`);
    response.setHeader("content-type", "application/octet-stream");
  });
  reply.on("error", ({ status, message, headers }: HttpError) => {
    response.writeHead(status, headers).end(`${message}\n`);
  });
  reply.stream = (path: string, { start = 0, end }: { start?: number; end?: number } = {}) => {
    let sentTo = start;
    async function* paced(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
      for await (const chunk of chunks) {
        await line.take(chunk.length, bytesPerSecond);
        sentTo += chunk.length;
        onTransfer({ file, sentTo });
        yield chunk;
      }
    }
    const body = createReadStream(path, { start, end, highWaterMark: 256 * 1024 });
    // A reader that goes away resumes later; a file that cannot be read ends the response short, which the reader sees.
    pipeline(body, paced, response).catch(() => response.destroy());
  };
  reply.pipe(response);
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain" }).end(text);
}
