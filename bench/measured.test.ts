import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { peakBytes, memoryBytes } from "./measured.ts";

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
  expect(memoryBytes(pid)).toBeGreaterThan(64 << 20);
  expect(memoryBytes(pid)).toBeLessThan(160 << 20);
});

test("a process that has left the tree counts where it is marked", async () => {
  const marked = await hold(64);
  const nobody = 2 ** 22 + 1;
  expect(memoryBytes(nobody, `bytearray(64 << 20); print(1`)).toBeGreaterThan(64 << 20);
  expect(memoryBytes(marked, `no such ${"mark"}`)).toBe(memoryBytes(marked));
});

test("the peak is kept until the end", async () => {
  const pid = await hold(32);
  const ended = new Promise((resolve) => setTimeout(resolve, 600));
  expect(await peakBytes(pid, ended)).toBeGreaterThan(32 << 20);
});

test("a process that is gone has no memory", () => {
  expect(memoryBytes(2 ** 22 + 1)).toBe(0);
});
