import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { dataDir } from "../../common/paths.ts";
import { loadRecipe, type Recipe } from "../../infra/recipe/recipe.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { readResults, thisRun, writeResults } from "../results.ts";
import { materials, type Materials } from "./materials.ts";
import { parseOptions, type Options } from "./options.ts";
import { benchMinutes } from "./minutes.ts";
import { benchPruning } from "./pruning.ts";
import { benchQuantization } from "./quantization.ts";
import { benchRecovery } from "./recovery.ts";
import { mergeResults, type CompressionResults } from "./results.ts";
import { rowsTable, type Row, type Section } from "./rows.ts";
import { Runner } from "./runner.ts";
import { benchSpeed } from "./speed.ts";
import { benchTarget } from "./target.ts";

const RECIPE = "smollm2-135m";

type Bench = (runner: Runner, recipe: Recipe, materials: Materials, options: Options) => Promise<Row[]>;
const benches: Record<Section, Bench> = {
  pruning: (runner, _, materials, options) => benchPruning(runner, materials, options),
  recovery: benchRecovery,
  minutes: benchMinutes,
  quantization: benchQuantization,
  target: (runner, _, materials) => benchTarget(runner, materials),
  speed: benchSpeed,
};

/**
 * `npm run bench:compression`: the methods of this project beside their peers on SmolLM2-135M. Every case is made of the
 * project's own stages, in a store of its own under the data folder: what is measured is not measured again.
 */
export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  await bootstrap({ purpose: "compare" });
  const recipe = loadRecipe(RECIPE);
  const folder = join(dataDir(), "bench", "compression");
  mkdirSync(folder, { recursive: true });
  const runner = new Runner({ folder, recipe, toolchain: readToolchain() });
  const prepared = materials(runner, recipe, options.chunks);
  for (const section of options.sections) {
    const rows = await benches[section](runner, recipe, prepared, options);
    console.log(rowsTable(rows));
    const before = readResults("compression") as CompressionResults | undefined;
    const run = { ...thisRun(), settings: settingsOf(section, options) };
    writeResults(mergeResults(before, section, run, rows));
  }
  return 0;
}

/** What decides, beside the code, whether two runs of a section can be compared. */
function settingsOf(section: Section, { chunks, tokens, minutes }: Options): Record<string, number> {
  if (section === "speed") return {};
  if (section === "recovery") return { chunks, tokens };
  return section === "minutes" ? { chunks, minutes } : { chunks };
}
