import { execa } from "execa";
import { environment } from "../../cli/environment.ts";
import { repoRoot } from "../../common/paths.ts";
import { makeProject } from "../../infra/provider/testing/engine.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { measure } from "../measured.ts";
import { readOptions, whole } from "../options.ts";
import { writeResults } from "../results.ts";
import { resultsTable, rowsOf } from "../rows.ts";

const ROUNDS = 5;
const NO_CHANGE = ["up", "--yes", "--skip-preview", "--expect-no-changes"];

/** It imports the SDK, as every program that declares a resource does; loading it is most of its time. */
const BARE = 'import { output } from "@pulumi/pulumi";\nexport const answer = output(42);\n';

/**
 * `npm run bench:up`: an `up` of the dev stack that finds nothing to do, in turn with one of a bare Pulumi program on the same
 * engine. The dev stack must be up (`npm start`). With another `--rounds` nothing is written to the results.
 */
export async function main(args: string[]): Promise<number> {
  const { rounds } = readOptions("bench:up", { rounds: whole.min(1).default(ROUNDS) }, args);
  await bootstrap({ purpose: "test" });
  const bare = await makeProject(BARE);
  const ours: number[] = [];
  const bares: number[] = [];
  try {
    await bare.pulumi("up", "--yes", "--skip-preview");
    for (let round = 1; round <= rounds; round += 1) {
      ours.push((await measure(upOfDev())).seconds);
      bares.push((await measure(bare.start(...NO_CHANGE))).seconds);
      console.error(
        `bench:up: round ${round} of ${rounds}: ${ours.at(-1)?.toFixed(1)} s, bare ${bares.at(-1)?.toFixed(1)} s`,
      );
    }
  } finally {
    await bare.remove();
  }
  const baseline = { name: "a bare Pulumi program", figures: { seconds: median(bares) } };
  const rows = rowsOf("no change", { seconds: median(ours) }, baseline);
  console.log(resultsTable(rows));
  if (rounds === ROUNDS) writeResults("up", { rows });
  return 0;
}

function upOfDev() {
  return execa("pulumi", [...NO_CHANGE, "--stack", "dev", "--non-interactive"], {
    cwd: repoRoot,
    env: environment("dev"),
    all: true,
    reject: false,
  });
}

/** With two digits behind the point. */
function median(seconds: readonly number[]): number {
  const middle = [...seconds].sort((a, b) => a - b)[Math.floor(seconds.length / 2)];
  return Number(middle?.toFixed(2));
}
