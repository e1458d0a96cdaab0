import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { peakRssBytes, treeRssBytes } from "./measured.ts";

const started: number[] = [];

afterEach(() => {
  for (const pid of started.splice(0)) process.kill(-pid, "SIGKILL");
});

/** A shell whose child holds some memory; resolves when it has it. */
async function hold(megabytes: number): Promise<number> {
  const program = `x = bytearray(${megabytes} << 20); print(1, flush=True); import time; time.sleep(60)`;
  const shell = spawn("sh", ["-c", `python3 -c '${program}'; true`], { detached: true });
  started.push(shell.pid ?? 0);
  await once(shell.stdout, "data");
  return shell.pid ?? 0;
}

test("memory of descendants counts", async () => {
  const pid = await hold(64);
  expect(treeRssBytes(pid)).toBeGreaterThan(64 << 20);
  expect(treeRssBytes(pid)).toBeLessThan(160 << 20);
});

test("the peak is kept until the end", async () => {
  const pid = await hold(32);
  const ended = new Promise((resolve) => setTimeout(resolve, 600));
  expect(await peakRssBytes(pid, ended)).toBeGreaterThan(32 << 20);
});

test("a process that is gone has no memory", () => {
  expect(treeRssBytes(2 ** 22 + 1)).toBe(0);
});
