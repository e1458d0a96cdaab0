import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { RunLog } from "./run-log.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-logs-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("the log of a run that failed stays, readable by its owner alone; that of another goes", async () => {
  const logs = join(folder, "deep", "logs");
  const failed = await RunLog.open(logs, "pi-0-site");
  failed.write("  what happened", false);
  failed.write("{}", true);
  await failed.close(true);
  const passed = await RunLog.open(logs, "pi-1-site");
  passed.write("nothing", false);
  await passed.close(false);
  expect(await readdir(logs)).toEqual([basename(failed.path)]);
  expect(await readFile(failed.path, "utf8")).toBe("  what happened\n{}\n");
  expect((await stat(failed.path)).mode & 0o777).toBe(0o600);
  expect((await stat(logs)).mode & 0o777).toBe(0o700);
});

test("its name has the time in it, in letters that every file system takes", async () => {
  const log = await RunLog.open(folder, "pi-0-site");
  await log.close(true);
  expect(basename(log.path)).toMatch(/^pi-0-site-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d-\d{3}Z\.log$/);
});

test("ten logs of a host and playbook are kept, the latest; those of others are left alone", async () => {
  const name = (host: string, day: number) => `${host}-2026-11-${10 + day}T00-00-00-000Z.log`;
  const days = [5, 3, 1, 4, 2, 12, 11, 10, 9, 8, 7, 6];
  for (const host of ["pi-0-site", "pi-0-site-check", "kitchen-pi-0-site"])
    for (const day of days) await writeFile(join(folder, name(host, day)), "");
  await (await RunLog.open(folder, "pi-0-site")).close(true);
  const left = await readdir(folder);
  const own = left.filter((file) => file.startsWith("pi-0-site-2")).sort();
  expect(own).toHaveLength(10);
  expect(own.slice(0, -1)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12].map((day) => name("pi-0-site", day)));
  expect(left).toHaveLength(10 + 2 * days.length);
});

test("a host with fewer logs keeps them all", async () => {
  await writeFile(join(folder, "pi-0-site-2026-11-10T00-00-00-000Z.log"), "");
  await (await RunLog.open(folder, "pi-0-site")).close(true);
  expect(await readdir(folder)).toHaveLength(2);
});

test("the last three lines that are no events say why Ansible cannot run", async () => {
  const log = await RunLog.open(folder, "pi-0-site");
  expect(log.lastText).toBe("");
  for (const line of ["one", "two ", "", "  three", " ", "four"]) log.write(line, false);
  log.write('{"event": "stats"}', true);
  expect(log.lastText).toBe("two three four");
  await log.close(false);
});
