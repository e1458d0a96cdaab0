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
  file = { sha256, bytes: content.length, path: join(folder, "model.gguf") };
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

test("a range beyond the end is refused and says how long the file is", async () => {
  const response = await get(`/sha256/${sha256}`, { headers: { range: "bytes=1000000-" } });
  expect(response.status).toBe(416);
  expect(response.headers.get("content-range")).toBe("bytes */1000000");
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
    expect((await get(path)).status).toBe(404);
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
