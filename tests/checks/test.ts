import { UserError } from "../../common/user-error.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { runLinters } from "./run-linters.ts";
import {
  runPytestCloud,
  runPytestFleet,
  runPytestUnits,
  runVitestCloud,
  runVitestEndToEnd,
  runVitestFleet,
  runVitestUnits,
} from "./suites.ts";
import { sum, type Tally } from "./tally.ts";

// The cheap ones first: what they find needs no virtual Pi.
const SUITES: Record<string, (() => Promise<Tally>)[]> = {
  all: [runLinters, runPytestUnits, runVitestUnits, runVitestEndToEnd],
  unit: [runPytestUnits, runVitestUnits],
  e2e: [runVitestEndToEnd],
  fleet: [runPytestFleet, runVitestFleet],
  cloud: [runPytestCloud, runVitestCloud],
};

/** `npm test`: linters, unit tests and the end-to-end run, one after the other; `unit`, `e2e`, `fleet` or `cloud` for those alone. */
export async function main([which = "all"]: string[]): Promise<number> {
  const suites = SUITES[which];
  if (suites === undefined) {
    const known = Object.keys(SUITES).join(", ");
    throw new UserError({
      where: "test",
      what: `there is no suite "${which}"`,
      remedy: `use one of ${known}`,
    });
  }
  await bootstrap({ purpose: which === "unit" ? "lint" : "test" });
  const tallies: Tally[] = [];
  for (const suite of suites) tallies.push(await suite());
  const { passed, failed } = sum(tallies);
  console.log(`${String(passed)} passed, ${String(failed)} failed`);
  return failed === 0 ? 0 : 1;
}
