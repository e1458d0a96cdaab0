import { createWriteStream, existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { formatBytes } from "../../common/units.ts";
import { sha256OfFile } from "./files.ts";

export interface DownloadOptions {
  /** Milliseconds to wait for the server's first answer. */
  connectTimeout: number;
  progress: (line: string) => void;
  signal: AbortSignal;
}

const PROGRESS_EVERY_MS = 3000;
/** A transfer that brings nothing for this long is given up. */
const STALLED_AFTER_MS = 30_000;

/** Text of a small file on the web. Rejects when there is no good answer within the connect timeout. */
export async function fetchText(url: string, options: DownloadOptions): Promise<string> {
  const answer = await request(url, {}, options);
  return answer.text();
}

/**
 * Brings `url` to `file` by way of `file.part`, which a later call goes on with (HTTP Range).
 * Rejects, keeping nothing, when the bytes are not those of `sha256`.
 */
export async function downloadVerified(
  url: string,
  file: string,
  sha256: string,
  options: DownloadOptions,
): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  if (existsSync(file) && (await sha256OfFile(file)) === sha256) return;
  const part = `${file}.part`;
  const have = existsSync(part) ? statSync(part).size : 0;
  await transfer(url, part, have, options);
  const actual = await sha256OfFile(part);
  if (actual !== sha256) {
    rmSync(part);
    throw new Error(`${url}: SHA-256 is ${actual}, expected ${sha256}; refusing to use it`);
  }
  renameSync(part, file);
}

async function transfer(url: string, part: string, have: number, options: DownloadOptions): Promise<void> {
  const answer = await request(url, have > 0 ? { range: `bytes=${String(have)}-` } : {}, options);
  if (answer.status === 416 || answer.body === null) return; // all there already; the digest decides
  const resumed = answer.status === 206;
  let done = resumed ? have : 0;
  const total = done + Number(answer.headers.get("content-length") ?? 0);
  let reported = Date.now();
  const stalled = new AbortController();
  const giveUp = () => {
    stalled.abort(new Error(`${url}: no data for ${String(STALLED_AFTER_MS / 1000)} s`));
  };
  let timer = setTimeout(giveUp, STALLED_AFTER_MS);
  const body = Readable.fromWeb(answer.body as never);
  body.on("data", (chunk: Buffer) => {
    clearTimeout(timer);
    timer = setTimeout(giveUp, STALLED_AFTER_MS);
    done += chunk.length;
    if (Date.now() - reported < PROGRESS_EVERY_MS) return;
    reported = Date.now();
    options.progress(
      `downloading ${url}: ${formatBytes(done)}${total >= done ? ` of ${formatBytes(total)}` : ""}`,
    );
  });
  try {
    const signal = AbortSignal.any([options.signal, stalled.signal]);
    await pipeline(body, createWriteStream(part, { flags: resumed ? "a" : "w" }), { signal });
  } finally {
    clearTimeout(timer);
  }
}

async function request(
  url: string,
  headers: Record<string, string>,
  options: DownloadOptions,
): Promise<Response> {
  const tooSlow = new AbortController();
  const timer = setTimeout(() => {
    tooSlow.abort(new Error(`${url}: no answer within ${String(options.connectTimeout / 1000)} s`));
  }, options.connectTimeout);
  try {
    const answer = await fetch(url, {
      headers: { ...headers, "accept-encoding": "identity" },
      signal: AbortSignal.any([options.signal, tooSlow.signal]),
    });
    if (!answer.ok && answer.status !== 416) throw new Error(`${url}: HTTP ${String(answer.status)}`);
    return answer;
  } catch (error) {
    // fetch wraps what really happened: "fetch failed" tells nobody anything.
    if (error instanceof TypeError && error.cause instanceof Error) {
      throw new Error(`${url}: ${error.cause.message}`, { cause: error });
    }
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
