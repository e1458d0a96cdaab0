import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { dataDir } from "../../common/paths.ts";
import { fromCatalogue } from "../../infra/model/catalogue.ts";
import { configuredShape } from "../../infra/prediction/predict.ts";
import { multipliedWeights, type MultipliedWeights } from "../../infra/prediction/weights.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { Runner } from "../compression/runner.ts";
import { list, readOptions, whole } from "../options.ts";
import { writeResults } from "../results.ts";
import { resultsTable, rowsOf, type Row } from "../rows.ts";
import { draftModelRows } from "./draft-model.ts";
import { drafters } from "./drafters.ts";
import { plainBatches, predictedTime } from "./predicted-time.ts";
import { kinds, readRequests } from "./requests.ts";
import { ask, type Answer } from "./server.ts";

/** What answers, and whose recipe lends the runner its settings. */
const MODEL = "smollm2-135m";
/** What seconds are predicted of: a model whose answers take a Pi 4 long, in types of three kinds. */
const PREDICTED = { recipe: "llama-3.1-8b", types: ["Q4_K_M", "Q3_K_M", "IQ3_M"] } as const;

/** The written answers, or the model's own. */
const answerers = ["written", "own"] as const;

/**
 * `npm run bench:speculation [-- --drafters NAMES --answers own --requests 3]`: how many drafted tokens a llama-server accepts
 * in requests of four kinds, and what a model of a Raspberry Pi 4's batches makes of that in seconds. What is accepted
 * follows from prompt and answer, whatever the processor.
 */
export async function main(args: string[]): Promise<number> {
  const options = readOptions(
    "bench:speculation",
    {
      drafters: list(z.enum(Object.keys(drafters))).default(Object.keys(drafters)),
      answers: list(z.enum(answerers)).default([...answerers]),
      requests: whole.min(2).max(10).default(10),
    },
    args,
  );
  await bootstrap({ purpose: "run" });
  const program = join(readToolchain().llamaCpp.hostBin, "llama-server");
  const model = await fetchModel();
  const requests = readRequests();
  const rows = draftModelRows();
  for (const answerer of options.answers) {
    for (const kind of kinds) {
      const asked = requests[kind].slice(0, options.requests);
      const askWith = (flags: readonly string[]): Promise<Answer[]> =>
        ask(program, model, flags, asked, answerer === "written");
      const expected =
        answerer === "written" ? asked.map(({ answer }) => answer) : await textsOf(askWith([]));
      for (const name of options.drafters) {
        console.error(`bench:speculation: ${kind}, ${answerer} answers, ${name}`);
        const answers = await askWith(drafters[name] ?? []);
        const same = answers.filter(({ text }, index) => text === expected[index]).length;
        rows.push(...figuresOf(`${name}, ${kind}, ${answerer}`, answers, same / answers.length));
      }
    }
  }
  console.log(resultsTable(rows));
  if (options.requests === 10) writeResults("speculation", { rows });
  return 0;
}

async function textsOf(answers: Promise<Answer[]>): Promise<string[]> {
  return (await answers).map(({ text }) => text);
}

/** Path of the model, which the product's own stage fetches. */
async function fetchModel(): Promise<string> {
  const folder = join(dataDir(), "bench", "speculation");
  mkdirSync(folder, { recursive: true });
  const runner = new Runner(folder, loadRecipe(MODEL), readToolchain());
  const { source, smokeTest } = fromCatalogue(MODEL);
  const [path = ""] = await runner.provide(runner.fetch("fetch-gguf", { source, smokeTest }));
  return path;
}

/** What came of a drafter: counted, and predicted of a Raspberry Pi 4. @param same share of answers that are as without it */
function figuresOf(name: string, answers: readonly Answer[], same: number): Row[] {
  const checks = answers.flatMap((answer) => answer.checks);
  const drafted = checks.reduce((sum, check) => sum + check.drafted, 0);
  const accepted = checks.reduce((sum, check) => sum + check.accepted, 0);
  const tokens = answers.reduce((sum, answer) => sum + answer.tokens, 0);
  const batches = answers.reduce((sum, answer) => sum + plainBatches(answer) + answer.checks.length, 0);
  const counted = { tokens, batches, drafted, accepted, same_share: 100 * same };
  return [
    ...rowsOf(name, counted),
    ...PREDICTED.types.flatMap((type) =>
      (["asPrompts", "asCounted"] as const).flatMap((cost) => {
        const { seconds, secondsWithout, error } = predictedTime(answers, predictedModel(type), cost);
        const baseline = { name: "without", figures: { seconds: secondsWithout } };
        return rowsOf(`${name}, ${type} ${cost}`, { seconds, speedup_error: error }, baseline);
      }),
    ),
  ];
}

function predictedModel(type: (typeof PREDICTED.types)[number]): MultipliedWeights {
  const shape = configuredShape(loadRecipe(PREDICTED.recipe));
  if (shape === undefined) throw new Error(`${PREDICTED.recipe} has no base.config`);
  return multipliedWeights(shape, { type, imatrix: false });
}
