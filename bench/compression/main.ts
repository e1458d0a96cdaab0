import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { dataDir } from "../../common/paths.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { writeResults } from "../results.ts";
import { resultsTable, type Row } from "../rows.ts";
import { Bench } from "./bench.ts";
import { benchFfnWidths } from "./ffn-widths.ts";
import { benchMinutes } from "./minutes.ts";
import { benchMixedPrecision } from "./mixed-precision.ts";
import { parseOptions, type Options, type Section } from "./options.ts";
import { benchPruning } from "./pruning.ts";
import { benchQuantization } from "./quantization.ts";
import { benchRecovery } from "./recovery.ts";
import { Runner } from "./runner.ts";
import { benchSpeed } from "./speed.ts";

const RECIPE = "smollm2-135m";

const benches: Record<Section, (bench: Bench, options: Options) => Promise<Row[]>> = {
  pruning: benchPruning,
  recovery: benchRecovery,
  "ffn-widths": benchFfnWidths,
  minutes: benchMinutes,
  quantization: benchQuantization,
  "mixed-precision": benchMixedPrecision,
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
  const bench = new Bench(new Runner(folder, recipe, readToolchain()), recipe, options.chunks);
  for (const section of options.only) {
    const rows = await benches[section](bench, options);
    console.log(resultsTable(rows));
    writeResults("compression", { section, settings: settingsOf(section, options), rows });
  }
  return 0;
}

/** What decides, beside the code, whether two runs of a section can be compared. */
function settingsOf(section: Section, { chunks, tokens, minutes }: Options): Record<string, number> {
  if (section === "speed") return {};
  if (section === "recovery" || section === "ffn-widths") return { chunks, tokens };
  return section === "minutes" ? { chunks, minutes } : { chunks };
}
