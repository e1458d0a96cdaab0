import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Instrumenter } from "@stryker-mutator/instrumenter";
import { codeOf, type Area } from "./areas.ts";
import { sample } from "./mutant.ts";
import type { Trial, Trials } from "./trial.ts";

/** Words for people: no test should hold them letter by letter. */
const excludedMutations = ["StringLiteral"];

const ignore = (): void => undefined;
const no = (): boolean => false;
const silent = {
  ...{ trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
  ...{ isTraceEnabled: no, isDebugEnabled: no, isInfoEnabled: no },
  ...{ isWarnEnabled: no, isErrorEnabled: no, isFatalEnabled: no },
};

/**
 * Puts every bug that Stryker's instrumenter (https://stryker-mutator.io) makes into the copies at once, each behind a switch:
 * an environment variable chooses the one that is at work, also in processes that the tests start.
 */
export async function typeScriptTrials(
  area: Area,
  copies: readonly string[],
  count: number,
  seed: number,
): Promise<Trials> {
  const [first = ""] = copies;
  const files = codeOf(area, first).map((name) => ({
    ...{ name, mutate: true, content: readFileSync(join(first, name), "utf8") },
  }));
  const made = await new Instrumenter(silent).instrument(files, {
    plugins: null,
    excludedMutations,
    ignorers: [],
  });
  for (const { name, content } of made.files)
    for (const copy of copies) writeFileSync(join(copy, name), content);
  const mutants = made.mutants
    .filter(({ status }) => status === undefined)
    .map(({ id, fileName: file, location: { start }, replacement }): Trial => {
      const change = replacement.replace(/\s+/g, " ").slice(0, 120);
      return {
        ...{ file, line: start.line + 1, column: start.column + 1, change },
        env: { __STRYKER_ACTIVE_MUTANT__: id },
      };
    });
  return {
    mutants: sample(mutants, count, seed),
    env: () => ({}),
    command: (tests) => ["node_modules/.bin/vitest", "run", "--bail=1", ...tests],
    testsOf: (name) => name.replace(/\.ts$/, ".test.ts"),
  };
}
