import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ansibleDigest } from "./digest.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-digest-"));
  await mkdir(join(folder, "roles", "model"), { recursive: true });
  await writeFile(join(folder, "roles", "model", "main.yml"), "one");
});
afterEach(() => rm(folder, { recursive: true }));

test("any file's content and any file's name count", async () => {
  const first = ansibleDigest(folder);
  await writeFile(join(folder, "roles", "model", "main.yml"), "two");
  const second = ansibleDigest(folder);
  await writeFile(join(folder, "new.yml"), "");
  expect(new Set([first, second, ansibleDigest(folder)]).size).toBe(3);
});

test("what a link leads to counts", async () => {
  const elsewhere = join(folder, "elsewhere.md");
  await writeFile(elsewhere, "one");
  await symlink(elsewhere, join(folder, "roles", "model", "options"));
  const before = ansibleDigest(folder);
  await writeFile(elsewhere, "two");
  expect(ansibleDigest(folder)).not.toBe(before);
});

test("what makes no host differ does not count: caches, tests, documents", async () => {
  const before = ansibleDigest(folder);
  await mkdir(join(folder, "roles", "__pycache__"));
  await writeFile(join(folder, "roles", "__pycache__", "x.pyc"), "x");
  await writeFile(join(folder, "roles", "test_store.py"), "x");
  await writeFile(join(folder, "roles", "conftest.py"), "x");
  await writeFile(join(folder, "README.md"), "x");
  expect(ansibleDigest(folder)).toBe(before);
});
