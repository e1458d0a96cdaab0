import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { repoRoot } from "../common/paths.ts";
import type { Row, Run } from "./rows.ts";

/** What decides, beside the code, whether two runs can be compared. */
export type Settings = Record<string, number>;

/** `bench/results/NAME.json` */
export interface Results extends Run {
  bench: string;
  /** The last run of each section. */
  sections?: Record<string, Run & { settings: Settings }>;
  rows: Row[];
}

/** A machine as a manifest has it. */
export interface Machine {
  class: string;
  cores: number;
  memoryBytes: number;
}

const thisMachine = (): Machine => ({
  class: cpus()[0]?.model ?? process.arch,
  cores: cpus().length,
  memoryBytes: totalmem(),
});

/** This run: today, this commit, and the machine that measured. */
function thisRun({ class: name, cores, memoryBytes }: Machine): Run {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: repoRoot, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!bench/results") !== "";
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: git("rev-parse", "--short=12", "HEAD") + (changed ? "+" : ""),
    machine: `${name}, ${String(cores)} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB`,
  };
}

/**
 * Results with a run's rows new. Older rows of the same section stay where this run did not measure the case, if they were
 * measured by the same settings, with the run that they are of; other sections are left as they were.
 */
export function mergeResults(
  before: Results | undefined,
  { bench, rows, section, settings = {}, ...run }: Run & Measurement,
): Results {
  const last: (Run & { settings?: Settings }) | undefined =
    section === undefined ? before : before?.sections?.[section];
  const isComparable = isDeepStrictEqual(last?.settings ?? {}, settings);
  const measured = new Set(rows.map((row) => row.case));
  const kept = (before?.rows ?? []).flatMap((row): Row[] => {
    if (row.section !== section) return [row];
    if (last === undefined || !isComparable || measured.has(row.case)) return [];
    const { date, commit, machine } = last;
    return [{ ...row, run: row.run ?? { date, commit, machine } }];
  });
  const added = rows.map((row) => (section === undefined ? row : { section, ...row }));
  const sections =
    section === undefined ? {} : { sections: { ...before?.sections, [section]: { ...run, settings } } };
  return { bench, ...run, ...sections, rows: [...kept, ...added] };
}

/** What a bench, or a section of it, measured. */
interface Measurement {
  bench: string;
  section?: string;
  settings?: Settings;
  rows: readonly Row[];
}

/** Adds to `bench/results/NAME.json` and says so. @param machine where that is another one */
export function writeResults(measurement: Measurement, machine = thisMachine()): void {
  const path = pathOf(measurement.bench);
  const results = mergeResults(readResults(measurement.bench), { ...thisRun(machine), ...measurement });
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
  console.log(`written: ${path}`);
}

/** What a bench wrote last; undefined where it wrote nothing. */
export function readResults(bench: string): Results | undefined {
  try {
    return JSON.parse(readFileSync(pathOf(bench), "utf8")) as Results;
  } catch {
    return undefined;
  }
}

function pathOf(bench: string): string {
  return join(repoRoot, "bench", "results", `${bench}.json`);
}
