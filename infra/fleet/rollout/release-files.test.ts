import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test, vi } from "vitest";
import type { Toolchain } from "../../../toolchain/toolchain.ts";
import type * as webPage from "../../../toolchain/web-page/index.ts";
import {
  locateFiles,
  pageFile,
  releaseFileSchema,
  remedyFor,
  serverFile,
  sourceFile,
} from "./release-files.ts";

// Nothing is built.
const ensureWebPage = vi.hoisted(() => vi.fn<typeof webPage.ensureWebPage>());
vi.mock("../../../toolchain/web-page/index.ts", async (importOriginal) => ({
  ...(await importOriginal<typeof webPage>()),
  ensureWebPage,
}));

const [server, source, key] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
const folder = mkdtempSync(join(tmpdir(), "pipress-files-"));
const sourceArchive = join(folder, "source.tar.gz");
writeFileSync(sourceArchive, "source");
const toolchain = {
  llamaCpp: {
    ...{ sourceSha256: source, sourceArchive },
    release: { files: { "llama-server": { sha256: server, bytes: 4, path: "/llama-server", more: 1 } } },
  },
} as unknown as Toolchain;
const { signal } = new AbortController();
const log = { status: () => undefined, warn: () => undefined };

test("server and source are known by digest and size, and by no path of this machine", () => {
  expect(serverFile(toolchain)).toEqual({ sha256: server, bytes: 4, source: "llama-server" });
  expect(sourceFile(toolchain)).toEqual({ sha256: source, bytes: 6, source: "llama.cpp" });
});

test("a play finds every file where this machine has it, with the commands that make it anew", async () => {
  const model = { store: pathToFileURL(folder).href, key, file: "model.gguf" };
  mkdirSync(join(folder, "artifacts", key), { recursive: true });
  const files = [serverFile(toolchain), sourceFile(toolchain), { sha256: key, bytes: 7, source: model }];
  expect(await locateFiles(files, toolchain, log, signal)).toEqual([
    { sha256: server, bytes: 4, path: "/llama-server", remedy: remedyFor("llama-server") },
    { sha256: source, bytes: 6, path: sourceArchive, remedy: remedyFor("llama.cpp") },
    { sha256: key, bytes: 7, path: join(folder, "artifacts", key, "model.gguf"), remedy: remedyFor(model) },
  ]);
});

test("the web page is found where this machine has built it", async () => {
  const page = { sha256: "e".repeat(64), bytes: 9, path: "/cache/index.html", seconds: 60 };
  ensureWebPage.mockResolvedValue(page);
  const file = pageFile(page);
  expect(file).toEqual({ sha256: page.sha256, bytes: 9, source: "web-page" });
  expect(releaseFileSchema.parse(file)).toEqual(file);
  expect(await locateFiles([file], toolchain, log, signal)).toEqual([
    { sha256: page.sha256, bytes: 9, path: page.path, remedy: remedyFor("web-page") },
  ]);
  expect(remedyFor("web-page")).toMatch(/^`rm -r \/.*\/web-page`, then `\.\/pipress up`$/);
});

test("a file is refused that has no digest, no size, or comes from nowhere", () => {
  const file = { sha256: key, bytes: 5e9, source: { store: "s3://b/p", key, file: "model.gguf" } };
  const problems = (changes: object) =>
    releaseFileSchema.safeParse({ ...file, ...changes }).error?.issues.map(({ path }) => path[0]) ?? [];
  expect(problems({})).toEqual([]);
  expect(problems({ source: "llama.cpp", bytes: 0 })).toEqual([]);
  for (const sha256 of [`${key}0`, `0${key}`, key.slice(1), key.toUpperCase()])
    expect(problems({ sha256 })).toEqual(["sha256"]);
  expect(problems({ bytes: -1 })).toEqual(["bytes"]);
  for (const [name, value] of [
    ["store", ""],
    ["file", ""],
    ["key", "abc"],
    ["path", "/x"],
  ])
    expect(problems({ source: { ...file.source, [name as string]: value } })).toEqual(["source"]);
});

test("a file that is not what its digest says is made anew by commands", () => {
  const key = "696dc03ed1d0".padEnd(64, "0");
  expect(remedyFor({ store: "file:///store", key, file: "model.gguf" })).toBe(
    "`./pipress store rm 696dc03ed1d0 --yes`, then `./pipress up`",
  );
  expect(remedyFor("llama-server")).toMatch(/^`rm -r \/.*\/llama\.cpp`, then `npm start`$/);
});
