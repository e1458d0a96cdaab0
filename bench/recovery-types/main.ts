import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { dataDir } from "../../common/paths.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { Bench } from "../compression/bench.ts";
import { Runner } from "../compression/runner.ts";
import { writeResults } from "../results.ts";
import { resultsTable, type Row } from "../rows.ts";
import { benchPruned, benchTypes, PRUNED } from "./cases.ts";
import { parseOptions } from "./options.ts";

const RECIPE = "smollm2-135m";

/**
 * `npm run bench:recovery-types`: quantization-aware recovery of SmolLM2-135M, off the grid of its file, beside ordinary
 * recovery and the unpruned model in the standard types of no larger size. What is measured is not measured again.
 */
export async function main(args: string[]): Promise<number> {
  const { only, types, pruned, tokens, chunks } = parseOptions(args);
  await bootstrap({ purpose: "compare" });
  const recipe = loadRecipe(RECIPE);
  const folder = join(dataDir(), "bench", "recovery-types");
  mkdirSync(folder, { recursive: true });
  const runner = new Runner(folder, recipe, readToolchain());
  const bench = new Bench(runner, recipe, chunks, (fetched) =>
    runner.peer("off-grid", "off-grid", { seed: 1 }, { model: fetched }),
  );
  const write = (rows: Row[], section?: string): void => {
    console.log(resultsTable(rows));
    writeResults("recovery-types", { ...(section && { section }), settings: { chunks, tokens }, rows });
  };
  if (only.includes("types")) for (const type of types) write(await benchTypes(bench, type, tokens));
  if (only.includes("pruned"))
    for (const type of pruned) write(await benchPruned(bench, type, PRUNED[type] ?? [], tokens), "pruned");
  return 0;
}
