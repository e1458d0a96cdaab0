import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { browserOf, findPage } from "./open.ts";

let server: Server | undefined;
afterEach(() => server?.close());

/** A server that answers every request with one status, in the place of llama-server. @returns its base URL */
async function answering(status: number): Promise<string> {
  const listening = createServer((_, response) => response.writeHead(status).end());
  server = listening;
  await new Promise<void>((done) => listening.listen(0, "127.0.0.1", done));
  return `http://127.0.0.1:${String((listening.address() as AddressInfo).port)}/v1`;
}

it("finds the page beside the API", async () => {
  const baseUrl = await answering(200);
  expect(await findPage(baseUrl)).toBe(baseUrl.replace(/v1$/, ""));
});

it("says how to get a page where there is none", async () => {
  await expect(findPage(await answering(404))).rejects.toThrow(
    /has no web page \(status 404\) — set `server\.ui: true`/,
  );
});

it("says that nobody answers", async () => {
  const baseUrl = await answering(200);
  server?.close();
  await expect(findPage(baseUrl)).rejects.toThrow(/cannot be reached: ECONNREFUSED — `\.\/pipress status`/);
});

it("opens a browser where there is a screen and a program for it", () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress-open-"));
  try {
    const program = join(folder, "xdg-open");
    expect(browserOf({ DISPLAY: ":0", PATH: folder })).toBeUndefined();
    writeFileSync(program, "#!/bin/sh\n", { mode: 0o755 });
    expect(browserOf({ DISPLAY: ":0", PATH: folder })).toBe(program);
    expect(browserOf({ WAYLAND_DISPLAY: "wayland-0", PATH: folder })).toBe(program);
    expect(browserOf({ PATH: folder })).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
