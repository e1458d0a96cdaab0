import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { repoRoot } from "../common/paths.ts";

/** One figure of one case. `baseline` names what it is measured by; `ratio` is ours over the baseline's. */
export interface Row {
  case: string;
  metric: string;
  value: number;
  /** `s`, `bytes`, `bytes/s`, `tokens/s`, `nats`; empty where the metric has none. */
  unit: string;
  baseline?: string;
  baselineValue?: number;
  ratio?: number;
  /** Where it is not the one of the whole file: an earlier one. */
  run?: Run;
}

/** When, from which code and on what class of machine something was measured. */
export interface Run {
  date: string;
  /** With `+` where the working tree differed from it. */
  commit: string;
  machine: string;
}

/** `bench/results/NAME.json` */
export interface Results extends Run {
  bench: string;
  rows: Row[];
}

/** This run: today, this commit, this machine. */
export function thisRun(): Run {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: repoRoot, encoding: "utf8" }).trim();
  const changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!bench/results") !== "";
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: git("rev-parse", "--short=12", "HEAD") + (changed ? "+" : ""),
    machine: machineText({
      class: cpus()[0]?.model ?? process.arch,
      cores: cpus().length,
      memoryBytes: totalmem(),
    }),
  };
}

/** A machine as a manifest has it. */
export interface Machine {
  class: string;
  cores: number;
  memoryBytes: number;
}

/** A machine as results name it. */
export function machineText({ class: name, cores, memoryBytes }: Machine): string {
  return `${name}, ${String(cores)} cores, ${(memoryBytes / 2 ** 30).toFixed(0)} GiB`;
}

/** The part of a row that says what it is measured by. */
export function beside(
  value: number,
  baseline: string,
  baselineValue: number,
): Pick<Row, "baseline" | "baselineValue" | "ratio"> {
  return { baseline, baselineValue, ratio: Number((value / baselineValue).toFixed(4)) };
}

/** A row that is kept when others are measured anew, with the run that it is of. */
export function keptFrom<R extends Row>({ date, commit, machine }: Run, row: R): R {
  return { ...row, run: row.run ?? { date, commit, machine } };
}

/** What a bench wrote last; undefined where it wrote nothing. */
export function readResults(bench: string): Results | undefined {
  try {
    return JSON.parse(readFileSync(pathOf(bench), "utf8")) as Results;
  } catch {
    return undefined;
  }
}

/** Writes `bench/results/NAME.json` and says so. */
export function writeResults(results: Results): void {
  const path = pathOf(results.bench);
  mkdirSync(join(repoRoot, "bench", "results"), { recursive: true });
  writeFileSync(path, `${JSON.stringify(results, null, 2)}\n`);
  console.log(`written: ${path}`);
}

function pathOf(bench: string): string {
  return join(repoRoot, "bench", "results", `${bench}.json`);
}
