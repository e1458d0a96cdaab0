import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { dataDir, repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { writeResults } from "../results.ts";
import { resultsTable } from "../rows.ts";
import { compare, type Measured } from "./compare.ts";
import { parseOptions } from "./options.ts";
import { partsOf, type Part } from "./parts.ts";

const RECIPE = "llama-3.1-8b-pruned";
const UNPRUNED_RECIPE = "llama-3.1-8b";
/** Whose tokenizer is taken, filled up to the vocabulary's size: it comes from a package index. */
const TOKENIZER_RECIPE = "smollm2-135m";

/**
 * `npm run bench:8b [-- --only PARTS | --layers N]`: Llama 3.1 8B's true shape with random weights through what a recipe can
 * ask for, against what is predicted. With fewer layers nothing is written to the results.
 */
export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  await bootstrap({ purpose: "emulate" });
  const recipe = loadRecipe(RECIPE);
  const parts = partsOf(recipe, loadRecipe(UNPRUNED_RECIPE), options.layers);
  for (const part of parts.filter(({ name }) => options.only.includes(name))) {
    const task = JSON.stringify(taskOf(part, recipe.server.contextLength));
    if (options.task !== undefined) {
      writeFileSync(options.task, task);
      continue;
    }
    console.error(`bench:8b: ${part.name}`);
    const measured = options.measured === undefined ? await measure(task) : readMeasured(options.measured);
    const rows = compare(part, measured, recipe.server);
    console.log(resultsTable(rows));
    if (options.layers === undefined) writeResults("8b", { rows }, measured.machine);
  }
  return 0;
}

async function measure(task: string): Promise<Measured> {
  const { exitCode, stdout } = await execa(readToolchain().python, ["-m", "pipress.bench.eight_b"], {
    input: task,
    stderr: "inherit",
    reject: false,
    env: { PYTHONPATH: join(repoRoot, "models") },
  });
  if (exitCode !== 0)
    throw new UserError({ where: "bench:8b", what: "measured nothing; the reason is above" });
  return JSON.parse(stdout) as Measured;
}

/** What `pipress.bench.eight_b` reads; a part that converts nothing uses nothing of llama.cpp. */
function taskOf({ config, steps, textTokens, gpu }: Part, context: number): Record<string, unknown> {
  const { llamaCpp } = readToolchain();
  const folder = join(dataDir(), "bench");
  return {
    config,
    steps,
    context,
    calibrationTokens: textTokens,
    gpu,
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
