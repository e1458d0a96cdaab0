import type { Recipe } from "../../infra/recipe/recipe.ts";
import { beside } from "../results.ts";
import { convert, evaluate, type Materials } from "./materials.ts";
import type { Options } from "./options.ts";
import { baseRows, CALIBRATION, prunedModel } from "./pruning.ts";
import { CONTROL, recover } from "./recovery.ts";
import { percent, type Row } from "./rows.ts";
import { log, type Runner, type Step } from "./runner.ts";

/** What is pruned, and how. */
const SHARE = 0.1;
const METHOD = "ffn-second-order";
/** All the text there is, where methods are compared on an eighth of it: pruning is not on the clock. */
const ALL_TEXT = { ...CALIBRATION, calibrationTokens: 131072 };
/** The tokens of two trainings that say how fast this machine is. */
const PROBES = [4096, 12288] as const;

/**
 * The section `minutes`: 10 % fewer parameters and so many minutes of recovery on this machine. As everywhere here pruning
 * is calibrated on both sources; recovery sees the encyclopedia alone.
 */
export async function benchMinutes(
  runner: Runner,
  recipe: Recipe,
  materials: Materials,
  { minutes }: Options,
): Promise<Row[]> {
  const group = `${percent(SHARE)}, ${String(minutes)} minutes`;
  const pruned = prunedModel(runner, materials, SHARE, METHOD, materials.mixed, ALL_TEXT);
  log("minutes: how fast this machine trains");
  const [few, more] = PROBES;
  const secondsFor = async (tokens: number) =>
    (await runner.measure(recover(runner, recipe, `probe-${tokens}`, pruned.model, materials, tokens)))
      .seconds;
  const start = await secondsFor(few);
  // Loading and the looks at held-back text take the same time however long the training is.
  const perToken = ((await secondsFor(more)) - start) / (more - few);
  const tokens = few + Math.max(0, Math.floor((60 * minutes - start) / perToken));
  log(`minutes: ${String(tokens)} tokens, by that in ${String(minutes)} minutes`);
  const trained = recover(runner, recipe, "minutes", pruned.model, materials, tokens);
  const control = recover(runner, recipe, "minutes-control", materials.base, materials, tokens);
  const base = Number((await runner.measure(materials.reference)).metrics.perplexity);
  const rows = await baseRows(runner, materials, "minutes");
  const cases: [string, Step][] = [
    ["before", pruned.gguf],
    ["after", convert(runner, "minutes", trained)],
    [CONTROL, convert(runner, "minutes-control", control)],
  ];
  for (const [name, gguf] of cases) {
    log(`minutes: ${name}`);
    const { metrics } = await runner.measure(evaluate(runner, "minutes", gguf, materials));
    const perplexity = Number(metrics.perplexity);
    const row = { section: "minutes", case: `${group}, ${name}` } as const;
    rows.push(
      { ...row, metric: "perplexity", value: perplexity, unit: "", ...beside(perplexity, "base", base) },
      {
        ...row,
        metric: "nats_above_base",
        value: Number(Math.log(perplexity / base).toFixed(4)),
        unit: "nats",
      },
      { ...row, metric: "kld", value: Number(metrics.kld), unit: "nats" },
    );
  }
  const { seconds, metrics } = await runner.measure(trained);
  const row = { section: "minutes", case: `${group}, training` } as const;
  rows.push(
    { ...row, metric: "seconds", value: seconds, unit: "s" },
    { ...row, metric: "tokens", value: Number(metrics.tokens), unit: "" },
  );
  return rows;
}
