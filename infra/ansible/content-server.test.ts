import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ContentServer, type ServedFile, startContentServer, type Transfer } from "./content-server.ts";

const content = randomBytes(1_000_000);
const sha256 = createHash("sha256").update(content).digest("hex");
let folder: string;
let file: ServedFile;
let server: ContentServer;
const transfers: Transfer[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-content-"));
  file = { sha256, bytes: content.length, path: join(folder, "model.gguf"), remedy: "`make it anew`" };
  await writeFile(file.path, content);
  server = await startContentServer([file], (transfer) => transfers.push(transfer));
});

afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true });
});

function get(path: string, init?: RequestInit): Promise<Response> {
  return fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

test("a file is served whole under its digest", async () => {
  const response = await get(`/sha256/${sha256}`);
  expect(response.status).toBe(200);
  expect(response.headers.get("accept-ranges")).toBe("bytes");
  expect((await bytesOf(response)).equals(content)).toBe(true);
});

test("a download resumes where it was cut off", async () => {
  transfers.length = 0;
  const response = await get(`/sha256/${sha256}`, { headers: { range: "bytes=400000-" } });
  expect(response.status).toBe(206);
  expect(response.headers.get("content-range")).toBe("bytes 400000-999999/1000000");
  expect((await bytesOf(response)).equals(content.subarray(400_000))).toBe(true);
  expect(transfers.at(-1)).toEqual({ file, sentTo: 1_000_000 });
});

test.each([
  ["bytes=0-3", "0-3"],
  ["bytes=999996-", "999996-999999"],
  ["bytes=4-9999999", "4-999999"],
  ["bytes=-3", "999997-999999"],
])("%s is that part of the file", async (range, part) => {
  const response = await get(`/sha256/${sha256}`, { headers: { range } });
  expect([response.status, response.headers.get("content-range")]).toEqual([206, `bytes ${part}/1000000`]);
  const [start = 0, end = 0] = part.split("-").map(Number);
  expect(response.headers.get("content-length")).toBe(String(end - start + 1));
  expect((await bytesOf(response)).equals(content.subarray(start, end + 1))).toBe(true);
});

test.each(["lines=0-1", "bytes=0-1,4-5", "bytes=-", "bytes=a-b", ""])("`%s` gets the whole", async (range) => {
  const response = await get(`/sha256/${sha256}`, { headers: { range } });
  expect(response.status).toBe(200);
  expect((await bytesOf(response)).equals(content)).toBe(true);
});

test.each(["bytes=1000000-", "bytes=-0", "bytes=5-2"])(
  "%s cannot be satisfied, and the answer says how long the file is",
  async (range) => {
    const response = await get(`/sha256/${sha256}`, { headers: { range } });
    expect(response.status).toBe(416);
    expect(response.headers.get("content-range")).toBe("bytes */1000000");
  },
);

test("a reader holding the same content gets the rest", async () => {
  const headers = { range: "bytes=999999-", "if-range": `"${sha256}"` };
  const response = await get(`/sha256/${sha256}`, { headers });
  expect([response.status, response.headers.get("etag")]).toEqual([206, `"${sha256}"`]);
  expect(response.headers.get("content-type")).toBe("application/octet-stream");
});

test("all that is sent keeps to the limit", async () => {
  const limited = await startContentServer([file], undefined, 4_000_000);
  const began = performance.now();
  const response = await fetch(`http://127.0.0.1:${limited.port}/sha256/${sha256}`);
  expect((await bytesOf(response)).equals(content)).toBe(true);
  // The first of its four pieces goes at once.
  expect(performance.now() - began).toBeGreaterThan(150);
  await limited.close();
});

test("a file that went away since is not found", async () => {
  const other = { ...file, path: join(folder, ".a b%20c") };
  await writeFile(other.path, content);
  const serving = await startContentServer([other]);
  const url = `http://127.0.0.1:${serving.port}/sha256/${sha256}`;
  expect((await bytesOf(await fetch(url))).equals(content)).toBe(true);
  await rm(other.path);
  expect((await fetch(url)).status).toBe(404);
  await serving.close();
});

test("answers carry no date and no lifetime: the digest is the name", async () => {
  const response = await get(`/sha256/${sha256}`, { method: "HEAD" });
  for (const name of ["last-modified", "cache-control"]) expect(response.headers.get(name)).toBeNull();
});

test("a reader holding other content gets the whole file instead of a splice", async () => {
  const response = await get(`/sha256/${sha256}`, { headers: { range: "bytes=5-", "if-range": '"other"' } });
  expect(response.status).toBe(200);
  await response.body?.cancel();
});

test("HEAD tells the size without the content", async () => {
  const response = await get(`/sha256/${sha256}`, { method: "HEAD" });
  expect(response.headers.get("content-length")).toBe("1000000");
  expect(await bytesOf(response)).toHaveLength(0);
});

test.each(["/", `/sha256/${"0".repeat(64)}`, "/../../etc/passwd", "/%2e%2e/etc/passwd"])(
  "%s is not served",
  async (path) => {
    const { status, headers } = await get(path);
    expect([status, headers.get("content-type")]).toEqual([404, "text/plain"]);
  },
);

test("nothing can be written", async () => {
  expect((await get(`/sha256/${sha256}`, { method: "PUT", body: "x" })).status).toBe(405);
});

test("several hosts download at the same time", async () => {
  const all = await Promise.all(
    Array.from({ length: 8 }, async () => bytesOf(await get(`/sha256/${sha256}`))),
  );
  expect(all.every((one) => one.equals(content))).toBe(true);
});

test("a file that is missing or of another size is refused before anything is served", async () => {
  await expect(startContentServer([{ ...file, path: join(folder, "gone") }])).rejects.toThrow(
    /the file is missing/,
  );
  await expect(startContentServer([{ ...file, bytes: 7 }])).rejects.toThrow(
    /has 1000000 bytes.*manifest says 7/,
  );
});
