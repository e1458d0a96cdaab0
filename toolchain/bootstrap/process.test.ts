import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runTool } from "./process.ts";

describe("runTool", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "tool-"));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  const shell = (script: string) => ({ where: "test / step", command: "sh", args: ["-c", script] });

  it("returns stdout, and hands on every line of both as it comes", async () => {
    const lines: string[] = [];
    const progress = (line: string) => void lines.push(line);
    expect(await runTool({ ...shell("echo one; echo; echo two >&2; echo three"), progress })).toBe(
      "one\n\nthree",
    );
    expect(lines.sort()).toEqual(["one", "three", "two"]);
  });

  it("says how it failed, with the last lines, what to do and where the whole output is", async () => {
    const logFile = join(folder, "logs", "step.log");
    const call = { ...shell("seq 1 9; exit 3"), logFile, remedy: "try again" };
    await expect(runTool(call)).rejects.toThrow(
      `test / step: sh failed (exit 3)\n  4\n  5\n  6\n  7\n  8\n  9 — try again; full output in ${logFile}`,
    );
    expect(readFileSync(logFile, "utf8")).toBe("1\n2\n3\n4\n5\n6\n7\n8\n9\n");
  });

  it("says when there is no such tool, and when it takes too long", async () => {
    await expect(runTool({ ...shell(""), command: "no-such-tool" })).rejects.toThrow(
      /^test \/ step: no-such-tool is not installed$/,
    );
    await expect(runTool({ ...shell("exec sleep 60"), timeout: 1000 })).rejects.toThrow("no end after 1 s");
  });

  it("ends what runs under flock when it is cancelled", async () => {
    const cancel = new AbortController();
    const args = ["--no-fork", join(folder, "lock"), "sleep", "60"];
    const running = runTool({ where: "test", command: "flock", args, signal: cancel.signal });
    setTimeout(() => {
      cancel.abort();
    }, 300);
    await expect(running).rejects.toThrow(/abort/i);
  });
});
