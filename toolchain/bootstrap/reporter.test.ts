import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Reporter } from "./reporter.ts";

describe("Reporter", () => {
  const lines: string[] = [];
  let reporter: Reporter;
  beforeEach(() => {
    vi.useFakeTimers();
    lines.length = 0;
    reporter = new Reporter((line) => lines.push(line));
  });
  afterEach(() => {
    reporter.stop();
    vi.useRealTimers();
  });

  it("shows the first line at once and thins out what follows too fast", () => {
    reporter.progress("package 1");
    reporter.progress("package 2");
    reporter.progress("package 3");
    expect(lines).toEqual(["package 1 (0 s)"]);
    vi.advanceTimersByTime(5000);
    reporter.progress("package 4");
    expect(lines).toEqual(["package 1 (0 s)", "package 4 (5 s)"]);
  });

  it("says at least every ten seconds that a silent task is still at it, with its latest line", () => {
    reporter.progress("linking");
    reporter.progress("linking pulumi");
    vi.advanceTimersByTime(60_000);
    expect(lines.length).toBeGreaterThanOrEqual(7);
    expect(lines.at(-1)).toMatch(/^linking pulumi \((5\d|60) s|1 min 00 s\)$/);
  });
});
