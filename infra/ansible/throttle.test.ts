import { expect, test } from "vitest";
import { Throttle } from "./throttle.ts";

/** A throttle whose time passes only by waiting. */
function simulated() {
  let time = 0;
  const wait = (milliseconds: number): Promise<void> => {
    time += milliseconds;
    return Promise.resolve();
  };
  return { throttle: new Throttle(() => time, wait), elapsed: () => time };
}

test("what is sent takes as long as the limit says", async () => {
  const { throttle, elapsed } = simulated();
  for (let sent = 0; sent < 10; sent += 1) await throttle.take(1000, 2000);
  // The first piece goes at once; the tenth begins when nine have had their half second.
  expect(elapsed()).toBe(4500);
});

test("readers share the limit", async () => {
  const { throttle, elapsed } = simulated();
  const reader = async (): Promise<void> => {
    for (let sent = 0; sent < 5; sent += 1) await throttle.take(1000, 2000);
  };
  await Promise.all([reader(), reader()]);
  expect(elapsed()).toBeGreaterThanOrEqual(4500);
});

test("time in which nobody read is not saved up, and without a limit nothing waits", async () => {
  const { throttle, elapsed } = simulated();
  await throttle.take(1000, 1000);
  await throttle.take(1000, undefined);
  expect(elapsed()).toBe(0);
  await throttle.take(1000, 1000);
  expect(elapsed()).toBe(1000);
});
