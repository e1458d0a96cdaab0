import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { installedLlamaCpp } from "./index.ts";
import { archivePath, ensureSource, homeDir, refuseKnownHoles, type Run } from "./source.ts";

let cacheDir: string;
beforeEach(async () => {
  cacheDir = await mkdtemp(join(tmpdir(), "pipress-llama-"));
});
afterEach(() => rm(cacheDir, { recursive: true }));

const run = (python: string): Run => ({
  cacheDir,
  python,
  progress: () => undefined,
  signal: new AbortController().signal,
});

it("refuses a build with known holes and names the floor", () => {
  expect(() => {
    refuseKnownHoles(11392);
  }).toThrow(/b11392 has known holes \(below b11393\)/);
});

it("refuses an archive that is not the pinned one and unpacks nothing of it", async () => {
  const archive = archivePath(cacheDir);
  await mkdir(dirname(archive), { recursive: true });
  await writeFile(archive, "not the archive");
  await expect(ensureSource(run("python3"))).rejects.toThrow(/not the pinned/);
  expect(existsSync(join(homeDir(cacheDir), "src"))).toBe(false);
});

it("says where to put the archive by hand when it cannot be fetched", async () => {
  const failing = "false"; // a python whose download always fails
  const error: unknown = await ensureSource(run(failing)).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toContain(archivePath(cacheDir));
});

it("is not ready on an empty cache", () => {
  expect(installedLlamaCpp(cacheDir)).toBeUndefined();
});
