import type { Recipe } from "../../infra/recipe/recipe.ts";
import { convert, evaluate, type Materials } from "./materials.ts";
import type { Options } from "./options.ts";
import { baseRows, CALIBRATION, prunedModel, prunedModels, qualityOf, qualityRows } from "./pruning.ts";
import { beside } from "../results.ts";
import { percent, type Row } from "./rows.ts";
import type { Runner, Step } from "./runner.ts";

const CONTROL = "control: unpruned, trained the same";
/** Of a recovery by the clock: what is pruned, how, and the two trainings that say how fast this machine is. */
const MINUTES_SHARE = 0.1;
const MINUTES_METHOD = "ffn-second-order";
/** All the text there is, where methods are compared on an eighth of it: pruning is not on the clock. */
const MINUTES_CALIBRATION = { ...CALIBRATION, calibrationTokens: 131072 };
const PROBES = [4096, 12288] as const;

/** The recipe's training with another budget: teacher KL alone, on text of another source than the evaluation's. */
function recover(
  runner: Runner,
  recipe: Recipe,
  name: string,
  model: Step,
  { base, apart }: Materials,
  tokens: number,
): Step {
  const distillation = { ...(recipe.steps.recover?.distillation as object), klWeight: 1 };
  const params = { ...recipe.steps.recover, distillation, tokens };
  return runner.stage(`recover-${name}`, "recover", params, { model, teacher: base, texts: apart });
}

/** The section `recovery`: every method at every ratio after the same training, and the control. */
export async function benchRecovery(
  runner: Runner,
  recipe: Recipe,
  found: Materials,
  options: Options,
): Promise<Row[]> {
  if (options.minutes !== undefined) return benchMinutes(runner, recipe, found, options.minutes, options);
  const rows = await baseRows(runner, found, "recovery");
  const measureAfter = async (name: string, model: Step) => {
    const trained = recover(runner, recipe, name, model, found, options.tokens);
    const quality = await qualityOf(
      runner,
      found,
      `${name}-recovered`,
      convert(runner, `${name}-recovered`, trained),
    );
    await runner.shed(trained);
    return quality;
  };
  options.say("recovery: the control");
  const control = await measureAfter("control", found.base);
  if (control !== undefined)
    rows.push(...qualityRows("recovery", "base", [{ name: CONTROL, isPeer: true, ...control }]));
  for (const share of options.ratios) {
    const measured = [];
    for (const { method, isPeer, model } of prunedModels(runner, found, share, options)) {
      options.say(`recovery ${percent(share)}: ${method}`);
      const quality = await measureAfter(`${method}-${String(Math.round(100 * share))}`, model);
      if (quality !== undefined) measured.push({ name: method, isPeer, ...quality });
    }
    rows.push(...qualityRows("recovery", percent(share), measured));
  }
  return rows;
}

/**
 * 10 % fewer parameters and so many minutes of recovery on this machine. As everywhere here pruning is calibrated on both
 * sources; recovery sees the encyclopedia alone.
 */
async function benchMinutes(
  runner: Runner,
  recipe: Recipe,
  found: Materials,
  minutes: number,
  { say }: Options,
): Promise<Row[]> {
  const group = `${percent(MINUTES_SHARE)}, ${String(minutes)} minutes`;
  const pruned = prunedModel(runner, found, MINUTES_SHARE, MINUTES_METHOD, found.mixed, MINUTES_CALIBRATION);
  say("recovery: how fast this machine trains");
  const [few, more] = PROBES;
  const secondsFor = async (tokens: number) =>
    (await runner.measure(recover(runner, recipe, `probe-${tokens}`, pruned.model, found, tokens))).seconds;
  const start = await secondsFor(few);
  // Loading and the looks at held-back text take the same time however long the training is.
  const perToken = ((await secondsFor(more)) - start) / (more - few);
  const tokens = few + Math.max(0, Math.floor((60 * minutes - start) / perToken));
  say(`recovery: ${String(tokens)} tokens, by that in ${String(minutes)} minutes`);
  const trained = recover(runner, recipe, "minutes", pruned.model, found, tokens);
  const control = recover(runner, recipe, "minutes-control", found.base, found, tokens);
  const base = Number((await runner.measure(found.reference)).metrics.perplexity);
  const rows = await baseRows(runner, found, "recovery");
  const cases: [string, Step][] = [
    ["before", pruned.gguf],
    ["after", convert(runner, "minutes", trained)],
    [CONTROL, convert(runner, "minutes-control", control)],
  ];
  for (const [name, gguf] of cases) {
    say(`recovery: ${name}`);
    const { metrics } = await runner.measure(evaluate(runner, "minutes", gguf, found));
    const perplexity = Number(metrics.perplexity);
    const row = { section: "recovery", case: `${group}, ${name}` } as const;
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
  rows.push(
    { section: "recovery", case: `${group}, training`, metric: "seconds", value: seconds, unit: "s" },
    {
      section: "recovery",
      case: `${group}, training`,
      metric: "tokens",
      value: Number(metrics.tokens),
      unit: "",
    },
  );
  return rows;
}
