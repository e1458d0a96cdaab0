import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withLock } from "./lock.ts";

describe("withLock", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "lock-"))));
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it("lets one at a time in, and tells the second that it waits", async () => {
    const file = join(folder, "a", "lock");
    const events: string[] = [];
    const work = (name: string) =>
      withLock(
        file,
        () => events.push(`${name} waits`),
        async () => {
          events.push(`${name} in`);
          await sleep(100);
          events.push(`${name} out`);
        },
      );
    const first = work("one");
    await sleep(50);
    await Promise.all([first, work("two")]);
    expect(events).toEqual(["one in", "two waits", "one out", "two in", "two out"]);
  });

  it("is free again after an error", async () => {
    const file = join(folder, "lock");
    await expect(withLock(file, nothing, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    await expect(withLock(file, nothing, () => Promise.resolve("in"))).resolves.toBe("in");
  });

  it("is free again after its holder was killed with SIGKILL", async () => {
    const file = join(folder, "lock");
    const script = `import { withLock } from ${JSON.stringify(join(import.meta.dirname, "lock.ts"))};
      await withLock(${JSON.stringify(file)}, () => {}, () => new Promise(() => { console.log("in"); setInterval(() => {}, 1000); }));`;
    const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", script]);
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGKILL");
    await expect(withLock(file, nothing, () => Promise.resolve("in"))).resolves.toBe("in");
  });
});

function nothing(): void {
  // waiting is not what this test is about
}
