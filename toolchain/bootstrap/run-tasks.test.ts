import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { runTasks } from "./run-tasks.ts";
import type { Task } from "./task.ts";

describe("runTasks", () => {
  const events: string[] = [];
  const lines: string[] = [];
  beforeEach(() => {
    events.length = lines.length = 0;
    vi.spyOn(console, "error").mockImplementation((line: string) => void lines.push(line));
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const task = (title: string, more: Partial<Task> = {}): Task => ({
    title,
    isReady: () => false,
    run: async (ctx) => {
      events.push(`${title} starts`);
      ctx.progress(`${title} works`);
      await sleep(20);
      events.push(`${title} ends`);
      return "chosen";
    },
    ...more,
  });
  const run = (tasks: Task[], { heavyAtOnce = 2, signal = new AbortController().signal } = {}) =>
    runTasks(tasks, { cacheDir: "/cache", signal, heavyAtOnce });

  it("starts a task when those it comes after are done, and others beside it", async () => {
    await run([task("a", { after: ["b"] }), task("b"), task("c")]);
    expect(events.slice(0, 2).sort()).toEqual(["b starts", "c starts"]);
    expect(events.indexOf("a starts")).toBeGreaterThan(events.indexOf("b ends"));
  });

  it("runs only so many heavy tasks at a time", async () => {
    await run([task("a", { heavy: true }), task("b", { heavy: true })], { heavyAtOnce: 1 });
    expect(events).toEqual(["a starts", "a ends", "b starts", "b ends"]);
  });

  it("says what each works on, and in the end what was chosen and how long it took", async () => {
    await run([task("a")]);
    expect(lines[0]).toMatch(/^\[0 s\] a: a works \(0 s\)$/);
    expect(lines.at(-1)).toMatch(/^\[0 s\] ✔ a: chosen \(0 s\)$/);
  });

  it("throws the first failure and stops the others", async () => {
    const fails = task("fails", { run: () => Promise.reject(new Error("no disk")) });
    const patient = task("patient", {
      run: ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            reject(new Error("stopped"));
          });
        }),
    });
    await expect(run([patient, fails, task("later", { after: ["fails"] })])).rejects.toThrow("no disk");
    expect(events).toEqual([]);
  });
});
