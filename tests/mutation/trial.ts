import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";
import type { Area } from "./areas.ts";
import type { Mutant } from "./mutant.ts";

/** How the tests of one language are run in a copy of the repository, with a mutant or, for comparison, without. */
export interface Trials {
  mutants: readonly Mutant[];
  /** Makes the mutant the code of a copy, while `run` goes on. */
  withMutant: <Result>(
    mutant: Mutant,
    copy: string,
    run: (env: Record<string, string>) => Promise<Result>,
  ) => Promise<Result>;
  /** A command that ends with 0 where the tests pass, and stops at the first that fails. */
  command: (tests: readonly string[]) => readonly [string, ...string[]];
  /** The name of the tests of a file, without folder. */
  testsOf: (name: string) => string;
}

export type Outcome = "passed" | "failed" | "timed out";

/** Runs tests in a copy. @param limit in seconds: an endless loop is found out by the clock */
export async function runTests(
  { command }: Trials,
  tests: readonly string[],
  { copy, env, limit }: { copy: string; env: Record<string, string>; limit: number },
): Promise<Outcome> {
  // timeout(1) ends what the tests started, too.
  const { exitCode } = await execa("timeout", ["--kill-after=5", String(limit), ...command(tests)], {
    ...{ cwd: copy, env, stdin: "ignore", stdout: "ignore", stderr: "ignore", reject: false },
  });
  return exitCode === 0 ? "passed" : exitCode === 124 ? "timed out" : "failed";
}

/** The tests of a mutant's own file, where it has some. */
export function ownTests(trials: Trials, { file }: Mutant, copy: string): string[] {
  const path = join(dirname(file), trials.testsOf(basename(file)));
  return existsSync(join(copy, path)) ? [path] : [];
}

/** Whether the tests notice a mutant: those of its own file first, then all of the area. */
export async function isNoticed(
  trials: Trials,
  area: Area,
  mutant: Mutant,
  { copy, limit }: { copy: string; limit: number },
): Promise<boolean> {
  const own = ownTests(trials, mutant, copy);
  return trials.withMutant(mutant, copy, async (env) => {
    for (const tests of own.length > 0 ? [own, area.tests] : [area.tests])
      if ((await runTests(trials, tests, { copy, env, limit })) !== "passed") return true;
    return false;
  });
}
