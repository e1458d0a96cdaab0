import { expect, test } from "vitest";
import { Slots } from "./slots.ts";

const never = new AbortController().signal;

test("no more work than the limit is at it at the same time, and all of it gets done", async () => {
  const slots = new Slots();
  let now = 0;
  let most = 0;
  const work = async (value: number): Promise<number> => {
    most = Math.max(most, (now += 1));
    await new Promise((resolve) => setTimeout(resolve, 2));
    now -= 1;
    if (value === 3) throw new Error("three");
    return value;
  };
  const results = await Promise.allSettled(
    [1, 2, 3, 4, 5, 6, 7].map((n) => slots.use(2, 1, never, () => work(n))),
  );
  expect(most).toBe(2);
  expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(6);
});

test("work that is cancelled while it waits never begins", async () => {
  const slots = new Slots();
  const cancel = new AbortController();
  let release = (): void => undefined;
  const first = slots.use(1, 1, never, () => new Promise<void>((resolve) => (release = resolve)));
  let waits = false;
  const begin = () => Promise.reject(new Error("began"));
  const second = slots.use(1, 1, cancel.signal, begin, () => (waits = true));
  expect(waits).toBe(true);
  cancel.abort(new Error("cancelled"));
  release();
  await expect(second).rejects.toThrow("cancelled");
  await first;
});

test("work that takes several slots waits until so many are free", async () => {
  const slots = new Slots();
  const begun: string[] = [];
  let release = (): void => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  const begin = (name: string, takes: number) =>
    slots.use(3, takes, never, () => {
      begun.push(name);
      return held;
    });
  const all = [begin("two", 2), begin("another two", 2), begin("one", 1)];
  await new Promise(setImmediate);
  expect(begun).toEqual(["two", "one"]);
  release();
  await Promise.all(all);
  expect(begun).toEqual(["two", "one", "another two"]);
});
