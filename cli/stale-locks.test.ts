import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, it } from "vitest";
import { removeStaleLocks } from "./stale-locks.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "locks-"))));
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function lock(stack: string, content: object): string {
  const stackFolder = join(folder, ".pulumi", "locks", "organization", "pipress", stack);
  mkdirSync(stackFolder, { recursive: true });
  const file = join(stackFolder, "0b8f.json");
  writeFileSync(file, JSON.stringify(content));
  return file;
}

const LIVING = 4711;
const remove = () => removeStaleLocks(pathToFileURL(folder).href, (pid) => pid === LIVING);
const by = (pid: number, host = hostname()) => ({
  pid,
  username: "me",
  hostname: host,
  timestamp: "2026-11-23T06:38:45.123456789Z",
});

it("removes the lock of a pulumi that is gone, and names the stack", () => {
  const file = lock("dev", by(12));
  expect(remove()).toEqual(["dev"]);
  expect(existsSync(file)).toBe(false);
});

it("leaves the lock of a living pulumi alone", () => {
  const file = lock("dev", by(LIVING));
  expect(remove()).toEqual([]);
  expect(existsSync(file)).toBe(true);
});

it("leaves the lock of another machine alone, and what it cannot read", () => {
  const files = [lock("shared", by(12, "elsewhere")), lock("odd", { what: "ever" })];
  expect(remove()).toEqual([]);
  expect(files.every((file) => existsSync(file))).toBe(true);
});

it("has nothing to do where nothing was ever locked, or the backend is no folder", () => {
  expect(remove()).toEqual([]);
  expect(removeStaleLocks("s3://bucket")).toEqual([]);
});

it("does not take a process of another kind for a living pulumi", () => {
  lock("dev", by(process.pid));
  expect(removeStaleLocks(pathToFileURL(folder).href)).toEqual(["dev"]);
});
