import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type LogLine, OrderedLog, withHeartbeat } from "./engine-log.ts";
import type { ResourceLog } from "./handler.ts";

let messages: string[];
let log: ResourceLog;

beforeEach(() => {
  vi.useFakeTimers();
  messages = [];
  const record = (message: string): void => void messages.push(message);
  log = { status: record, warn: record };
});
afterEach(() => vi.useRealTimers());

test("silent work says every eight seconds that it goes on", async () => {
  const work = withHeartbeat(log, async (inner) => {
    inner.status("booting");
    await new Promise((resolve) => setTimeout(resolve, 20_000));
    return "done";
  });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(await work).toBe("done");
  expect(messages).toEqual(["booting", "booting (8 s)", "booting (16 s)"]);
});

test("work that speaks is left alone, and nothing is said after its end", async () => {
  const work = withHeartbeat(log, async (inner) => {
    for (const step of ["one", "two", "three"]) {
      inner.status(step);
      await new Promise((resolve) => setTimeout(resolve, 5_000));
    }
  });
  await vi.advanceTimersByTimeAsync(60_000);
  await work;
  expect(messages).toEqual(["one", "two", "three"]);
});

test("lines of a resource arrive in order, and all before they count as flushed", async () => {
  vi.useRealTimers();
  const arrived: string[] = [];
  const ordered = new OrderedLog(async ({ message }) => {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 3));
    arrived.push(message);
  });
  for (const word of ["one", "two", "three"]) ordered.status(word);
  await ordered.flushed();
  expect(arrived).toEqual(["one", "two", "three"]);
});

test("old status lines are lost rather than hold up work that says more than the display can read", async () => {
  const arrived: LogLine[] = [];
  const ordered = new OrderedLog((line) => Promise.resolve(void arrived.push(line)));
  ordered.warn("kept");
  for (let line = 0; line < 10_000; line++) ordered.status(`line ${line}`);
  await ordered.flushed();
  expect(arrived.length).toBeLessThan(250);
  expect(arrived).toContainEqual({ severity: "warning", message: "kept" });
  expect(arrived.at(-1)?.message).toBe("line 9999");
});
