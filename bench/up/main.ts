import { execa } from "execa";
import { environment } from "../../cli/environment.ts";
import { repoRoot } from "../../common/paths.ts";
import { formatDuration } from "../../common/units.ts";
import { makeProject } from "../../infra/provider/testing/engine.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { measure } from "../measured.ts";
import { readOptions } from "../options.ts";
import { beside, thisRun, writeResults, type Row } from "../results.ts";

const ROUNDS = 5;
const NO_CHANGE = ["up", "--yes", "--skip-preview", "--expect-no-changes"];

/**
 * `npm run bench:up`: an `up` of the dev stack that finds nothing to do, in turn with one of a bare Pulumi program on the same
 * engine. The dev stack must be up (`npm start`). With another `--rounds` nothing is written to the results.
 */
export async function main(args: string[]): Promise<number> {
  const rounds = Number(readOptions("bench:up", ["rounds"], args).rounds ?? ROUNDS);
  await bootstrap({ purpose: "test" });
  const bare = await makeProject("export const answer = 42;\n");
  const ours: number[] = [];
  const bares: number[] = [];
  try {
    await bare.pulumi("up", "--yes", "--skip-preview");
    for (let round = 1; round <= rounds; round += 1) {
      ours.push(await seconds(upOfDev()));
      bares.push(await seconds(bare.start(...NO_CHANGE)));
      console.error(
        `bench:up: round ${round} of ${rounds}: ${ours.at(-1)?.toFixed(1)} s, bare ${bares.at(-1)?.toFixed(1)} s`,
      );
    }
  } finally {
    await bare.remove();
  }
  const rows: Row[] = [
    {
      ...{ case: "no change", metric: "seconds", value: median(ours), unit: "s" },
      ...beside(median(ours), "a bare Pulumi program", median(bares)),
    },
  ];
  if (rounds === ROUNDS) writeResults({ bench: "up", ...thisRun(), rows });
  for (const { value, baseline, baselineValue = 0, ratio } of rows)
    console.log(
      `no change  ${formatDuration(value)}  ${baseline} ${formatDuration(baselineValue)}  ratio ${ratio}`,
    );
  return 0;
}

function upOfDev() {
  const env = environment();
  return execa("pulumi", [...NO_CHANGE, "--stack", "dev", "--non-interactive"], {
    ...{ cwd: repoRoot, env, all: true, reject: false },
  });
}

async function seconds(command: Parameters<typeof measure>[0]): Promise<number> {
  return Number((await measure(command)).seconds.toFixed(2));
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
