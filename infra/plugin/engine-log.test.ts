import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { withHeartbeat } from "./engine-log.ts";
import type { ResourceLog } from "./handler.ts";

let said: string[];
let log: ResourceLog;

beforeEach(() => {
  vi.useFakeTimers();
  said = [];
  const say = (message: string): void => void said.push(message);
  log = { status: say, info: say, warn: say };
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
  expect(said).toEqual(["booting", "booting (8 s)", "booting (16 s)"]);
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
  expect(said).toEqual(["one", "two", "three"]);
});
