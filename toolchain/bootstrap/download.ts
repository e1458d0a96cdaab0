import { createWriteStream, existsSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { formatBytes } from "../../common/units.ts";
import { putInPlace, sha256OfFile } from "./files.ts";
import type { TaskContext } from "./task.ts";

/** How long to wait for a server's first answer. */
const CONNECT_TIMEOUT_MS = 5000;
/** A transfer that brings nothing for this long is given up. */
const STALLED_AFTER_MS = 30_000;

/** Text of a small file on the web. Rejects when there is no good answer within five seconds. */
export async function fetchText(url: string, ctx: TaskContext): Promise<string> {
  const answer = await request(url, {}, ctx.signal);
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
  ctx: TaskContext,
): Promise<void> {
  mkdirSync(dirname(file), { recursive: true });
  if (existsSync(file) && (await sha256OfFile(file)) === sha256) return;
  const part = `${file}.part`;
  await transfer(url, part, ctx);
  const actual = await sha256OfFile(part);
  if (actual !== sha256) {
    rmSync(part);
    throw new Error(`${url}: SHA-256 is ${actual}, expected ${sha256}; refusing to use it`);
  }
  putInPlace(part, file);
}

async function transfer(url: string, part: string, ctx: TaskContext): Promise<void> {
  const have = statSync(part, { throwIfNoEntry: false })?.size ?? 0;
  const answer = await request(url, have > 0 ? { range: `bytes=${String(have)}-` } : {}, ctx.signal);
  if (answer.status === 416 || answer.body === null) return; // all there already; the digest decides
  const resumed = answer.status === 206;
  let done = resumed ? have : 0;
  const total = done + Number(answer.headers.get("content-length") ?? 0);
  const stalled = deadline(STALLED_AFTER_MS, `${url}: no data for`);
  const body = Readable.fromWeb(answer.body as never);
  body.on("data", (chunk: Buffer) => {
    stalled.timer.refresh();
    done += chunk.length;
    const size = formatBytes(done) + (total >= done ? ` of ${formatBytes(total)}` : "");
    ctx.progress(`downloading ${url}: ${size}`);
  });
  try {
    const signal = AbortSignal.any([ctx.signal, stalled.signal]);
    await pipeline(body, createWriteStream(part, { flags: resumed ? "a" : "w" }), { signal });
  } finally {
    clearTimeout(stalled.timer);
  }
}

async function request(url: string, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  const tooSlow = deadline(CONNECT_TIMEOUT_MS, `${url}: no answer within`);
  try {
    const answer = await fetch(url, {
      headers: { ...headers, "accept-encoding": "identity" },
      signal: AbortSignal.any([signal, tooSlow.signal]),
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
    clearTimeout(tooSlow.timer);
  }
}

/** A signal that is aborted with `what` and the time unless its timer is refreshed or cleared before. */
function deadline(milliseconds: number, what: string) {
  const controller = new AbortController();
  const giveUp = () => {
    controller.abort(new Error(`${what} ${String(milliseconds / 1000)} s`));
  };
  return { signal: controller.signal, timer: setTimeout(giveUp, milliseconds) };
}
