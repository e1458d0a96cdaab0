import { availableParallelism } from "node:os";
import { z } from "zod";
import { UserError } from "../../common/user-error.ts";
import { list, readOptions, whole } from "../../bench/options.ts";
import { writeResults } from "../../bench/results.ts";
import { resultsTable, rowsOf } from "../../bench/rows.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { areas, type Area } from "./areas.ts";
import { withCopy } from "./copies.ts";
import type { Mutant } from "./mutant.ts";
import { pythonTrials } from "./python.ts";
import { isNoticed, ownTests, testsPass } from "./trial.ts";
import { typeScriptTrials } from "./typescript.ts";

const PER_AREA = 40;
const SEED = 1;

/**
 * `npm run test:mutation`: puts small bugs into the code that decides something, one at a time, and counts how many the tests
 * beside it notice. Prints those that went through. `--only stage,plan`, `--mutants 10` and `--seed 2` try others, and record
 * nothing.
 */
export async function main(args: string[]): Promise<number> {
  const known = areas.map(({ name }) => name);
  const { only, mutants, seed } = readOptions(
    "test:mutation",
    {
      only: list(z.enum(known)).default(known),
      mutants: whole.min(1).default(PER_AREA),
      seed: whole.default(SEED),
    },
    args,
  );
  await bootstrap({ purpose: "test" });
  const rows = [];
  for (const area of areas.filter(({ name }) => only.includes(name))) {
    const { survivors, tried } = await tryArea(area, mutants, seed);
    for (const { file, line, column, change } of survivors)
      console.log(`  ${file}:${line}:${column}  ${change}`);
    const measured = rowsOf(area.name, { killed_share: 1 - survivors.length / tried });
    // At once: an area takes half an hour, and the next may be stopped.
    if (mutants === PER_AREA && seed === SEED)
      writeResults("mutation", { settings: { mutants, seed }, rows: measured });
    rows.push(...measured);
  }
  console.log(resultsTable(rows));
  return 0;
}

/** Tries some mutants of an area, as many at a time as there are cores, each in a copy of its own. */
async function tryArea(
  area: Area,
  count: number,
  seed: number,
): Promise<{ survivors: Mutant[]; tried: number }> {
  return withCopies(availableParallelism(), async (copies) => {
    const make = area.language === "TypeScript" ? typeScriptTrials : pythonTrials;
    const trials = await make(area, copies, count, seed);
    const started = Date.now();
    const [copy = ""] = copies;
    console.error(`mutation: ${area.name}: its tests as they are`);
    // A test that fails by itself would notice everything; the first round is of the whole area, for the time it takes.
    const own = new Set(trials.mutants.flatMap((mutant) => ownTests(trials, mutant, copy)));
    let seconds = 0;
    for (const tests of [area.tests, ...[...own].map((test) => [test])]) {
      if (!(await testsPass(trials, tests, { copy, limit: 1800 })))
        throw new UserError({
          where: `mutation: ${area.name}`,
          what: `its tests (${tests.join(", ")}) fail without a bug`,
          remedy: "mend them first",
        });
      seconds ||= (Date.now() - started) / 1000;
    }
    const limit = Math.ceil(3 * seconds + 30);
    const waiting = [...trials.mutants];
    const survivors: Mutant[] = [];
    let tried = 0;
    const work = async (copy: string): Promise<void> => {
      for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
        if (!(await isNoticed(trials, area, mutant, { copy, limit }))) survivors.push(mutant);
        tried += 1;
        console.error(
          `mutation: ${area.name}: ${tried} of ${trials.mutants.length}, ${survivors.length} went through`,
        );
      }
    };
    await Promise.all(copies.map(work));
    return { survivors, tried };
  });
}

async function withCopies<Result>(
  count: number,
  use: (copies: string[]) => Promise<Result>,
  copies: string[] = [],
): Promise<Result> {
  if (copies.length === count) return use(copies);
  return withCopy((copy) => withCopies(count, use, [...copies, copy]));
}
