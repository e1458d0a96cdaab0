import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import type { Area } from "./areas.ts";
import type { Mutant } from "./mutant.ts";

/** A mutant, and what makes it the code that tests meet. */
export interface Trial extends Mutant {
  /** The whole file with the bug in it; without one the bug is there already, switched off. */
  text?: string;
  /** What switches it on. */
  env?: Record<string, string>;
}

/** Mutants of one language, and how its tests are run in a copy of the repository. */
export interface Trials {
  mutants: readonly Trial[];
  /** What the tests need in a copy, with a mutant or without. */
  env: (copy: string) => Record<string, string>;
  /** A command that ends with 0 where the tests pass, and stops at the first that fails. */
  command: (tests: readonly string[]) => readonly [string, ...string[]];
  /** The name of the tests of a file, without folder. */
  testsOf: (name: string) => string;
}

/** Where tests run, and for how long in seconds: an endless loop is found out by the clock. */
interface Run {
  copy: string;
  limit: number;
}

/** Whether tests pass in a copy. @param env beside what they always need */
export async function testsPass(
  trials: Trials,
  tests: readonly string[],
  { copy, limit }: Run,
  env: Record<string, string> = {},
): Promise<boolean> {
  // timeout(1) ends what the tests started, too.
  const { exitCode } = await execa("timeout", ["--kill-after=5", String(limit), ...trials.command(tests)], {
    ...{ cwd: copy, env: { ...trials.env(copy), ...env } },
    ...{ stdin: "ignore", stdout: "ignore", stderr: "ignore", reject: false },
  });
  return exitCode === 0;
}

/** The tests of a mutant's own file, where it has some. */
export function ownTests(trials: Trials, { file }: Mutant, copy: string): string[] {
  const path = join(dirname(file), trials.testsOf(basename(file)));
  return existsSync(join(copy, path)) ? [path] : [];
}

/** Whether the tests notice a mutant: those of its own file first, then all of the area. */
export async function isNoticed(trials: Trials, area: Area, mutant: Trial, run: Run): Promise<boolean> {
  const own = ownTests(trials, mutant, run.copy);
  const path = join(run.copy, mutant.file);
  const before = readFileSync(path);
  if (mutant.text !== undefined) writeFileSync(path, mutant.text);
  try {
    for (const tests of own.length > 0 ? [own, area.tests] : [area.tests])
      if (!(await testsPass(trials, tests, run, mutant.env))) return true;
    return false;
  } finally {
    writeFileSync(path, before);
  }
}
