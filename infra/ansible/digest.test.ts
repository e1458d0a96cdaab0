import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
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

test("a file in another folder, and a folder of another name, count", async () => {
  const before = ansibleDigest(folder);
  await rename(join(folder, "roles", "model"), join(folder, "roles", "other"));
  const other = ansibleDigest(folder);
  await rename(join(folder, "roles", "other", "main.yml"), join(folder, "roles", "main.yml"));
  expect(new Set([before, other, ansibleDigest(folder)]).size).toBe(3);
});

test("what is only called like a cache, a test or a document counts", async () => {
  let before = ansibleDigest(folder);
  for (const name of [
    ...["x__pycache__", "__pycache__x", ".cached", "x.cache", "x.ansible", ".ansible-lint", "x.pyc.j2", "x.retry.yml"],
    ...["contest_x.py", "test_x.yml", "test_x.py.j2", "testx.py", "conftest.py.j2", "x.md.j2", "md"],
  ]) {
    await writeFile(join(folder, "roles", name), "");
    expect(ansibleDigest(folder), name).not.toBe(before);
    before = ansibleDigest(folder);
  }
});

test("what makes no host differ does not count: caches, tests, documents", async () => {
  const before = ansibleDigest(folder);
  await mkdir(join(folder, "roles", "__pycache__"));
  await writeFile(join(folder, "roles", "__pycache__", "x.pyc"), "x");
  await writeFile(join(folder, "roles", "test_store.py"), "x");
  await writeFile(join(folder, "roles", "conftest.py"), "x");
  for (const name of ["README.md", "site.retry", "x.pyc", "pipress_test_x.py", ".cache"])
    await writeFile(join(folder, name), "x");
  for (const cache of [".ansible", ".pytest_cache", ".ruff_cache"]) {
    await mkdir(join(folder, cache));
    await writeFile(join(folder, cache, "x.yml"), "x");
  }
  expect(ansibleDigest(folder)).toBe(before);
});
