import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { repoRoot } from "../common/paths.ts";
import type { Row } from "./rows.ts";

/** What was measured, in which section of a bench and with which settings, where it has several. */
export interface Measurement {
  section?: string;
  /** What decides, beside the code, whether two runs can be compared. */
  settings?: Record<string, number>;
  rows: readonly Row[];
}

/** A measurement, and when, from which code and on what class of machine it was made. */
export interface Run extends Measurement {
  date: string;
  /** With `+` where the working tree differed from it. */
  commit: string;
  machine: string;
}

/** A machine as a manifest has it. */
export interface Machine {
  class: string;
  cores: number;
  memoryBytes: number;
}

/** Earlier runs and a new one. Of those, rows that can be compared with it stay where it did not measure the case anew. */
export function addRun(before: readonly Run[], run: Run): Run[] {
  const measured = new Set(run.rows.map((row) => row.case));
  const kept = before.flatMap((earlier) => {
    if (earlier.section !== run.section) return [earlier];
    if (!isDeepStrictEqual(earlier.settings, run.settings)) return [];
    const rows = earlier.rows.filter((row) => !measured.has(row.case));
    return rows.length === 0 ? [] : [{ ...earlier, rows }];
  });
  return [...kept, run];
}

/** Adds today's run to `bench/results/NAME.json` and says so. @param machine where that is another one */
export function writeResults(
  bench: string,
  { rows, ...measurement }: Measurement,
  machine: Machine = {
    class: cpus()[0]?.model ?? process.arch,
    cores: cpus().length,
    memoryBytes: totalmem(),
  },
): void {
  const { class: name, cores, memoryBytes } = machine;
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: repoRoot, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!bench/results") !== "";
  const run: Run = {
    ...measurement,
    date: new Date().toISOString().slice(0, 10),
    commit: git("rev-parse", "--short=12", "HEAD") + (changed ? "+" : ""),
    machine: `${name}, ${String(cores)} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB`,
    rows,
  };
  const path = pathOf(bench);
  writeFileSync(path, `${JSON.stringify(addRun(readResults(bench), run), null, 2)}\n`);
  console.log(`written: ${path}`);
}

/** The runs of a bench; none where it wrote nothing. */
export function readResults(bench: string): Run[] {
  const path = pathOf(bench);
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as Run[]) : [];
}

function pathOf(bench: string): string {
  return join(repoRoot, "bench", "results", `${bench}.json`);
}
