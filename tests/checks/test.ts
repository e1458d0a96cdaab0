import { formatDuration } from "../../common/units.ts";
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
import { describeTally, sum, type Tally } from "./tally.ts";

type Suite = readonly [name: string, run: () => Promise<Tally>];

const LINTERS: Suite = ["linters", runLinters];
const PYTHON: Suite = ["Python, beside the code", runPytestUnits];
const TYPESCRIPT: Suite = ["TypeScript, beside the code", runVitestUnits];
const END_TO_END: Suite = ["end to end", runVitestEndToEnd];

// The cheap ones first: what they find needs no virtual Pi.
const SUITES: Record<string, readonly Suite[]> = {
  all: [LINTERS, PYTHON, TYPESCRIPT, END_TO_END],
  unit: [PYTHON, TYPESCRIPT],
  e2e: [END_TO_END],
  fleet: [
    ["a host of namespaces, and Open WebUI", runPytestFleet],
    ["fleets", runVitestFleet],
  ],
  cloud: [
    ["instances", runPytestCloud],
    ["stages elsewhere", runVitestCloud],
  ],
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
  const lines: string[] = [];
  for (const [name, run] of suites) {
    const began = Date.now();
    const tally = await run();
    tallies.push(tally);
    lines.push(`${name}: ${describeTally(tally)} (${formatDuration((Date.now() - began) / 1000)})`);
  }
  console.log(lines.join("\n"));
  const { passed, failed } = sum(tallies);
  console.log(`${String(passed)} passed, ${String(failed)} failed`);
  return failed === 0 ? 0 : 1;
}
