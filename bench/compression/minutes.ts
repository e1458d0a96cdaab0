import { rowsOf, type Row } from "../rows.ts";
import type { Bench } from "./bench.ts";
import type { Options } from "./options.ts";
import { prunedModel } from "./pruning.ts";
import { CONTROL, recover } from "./recovery.ts";
import { percent } from "./best-peer.ts";
import { log, type Step } from "./runner.ts";

/** What is pruned, and how. */
const SHARE = 0.1;
const METHOD = "ffn-second-order";
/** All the text there is, where methods are compared on an eighth of it: pruning is not on the clock. */
const ALL_TOKENS = 131072;
/** Tokens of a training that says how fast this machine is. */
const PROBE = 4096;

/**
 * The section `minutes`: 10 % fewer parameters and so many minutes of recovery on this machine. As everywhere here pruning
 * is calibrated on both sources; recovery sees the encyclopedia alone.
 */
export async function benchMinutes(bench: Bench, options: Options): Promise<Row[]> {
  const { runner, base } = bench;
  const pruned = prunedModel(bench, SHARE, METHOD, { calibrationTokens: ALL_TOKENS });
  const train = (name: string, model: Step, tokens: number) => recover(bench, name, model, tokens);

  log("minutes: how fast this machine trains");
  const probe = await runner.measure(train("probe", pruned.model, PROBE));
  // Loading and the looks at held-back text take the same time however long the training is.
  const left = 60 * options.minutes - probe.seconds;
  const tokens = PROBE + Math.max(0, Math.floor(left * Number(probe.metrics.trainTokensPerSecond)));
  log(`minutes: ${String(tokens)} tokens, by that in ${String(options.minutes)} minutes`);

  const trained = train("minutes", pruned.model, tokens);
  const control = train("minutes-control", base, tokens);
  const perplexity = await bench.basePerplexity();
  const rows = rowsOf("base", { perplexity });
  const group = `${percent(SHARE)}, ${String(options.minutes)} minutes`;
  const cases = {
    before: pruned.gguf,
    after: bench.convert("minutes", trained),
    [CONTROL]: bench.convert("minutes-control", control),
  };
  for (const [name, gguf] of Object.entries(cases)) {
    log(`minutes: ${name}`);
    const quality = await bench.quality("minutes", gguf);
    if (quality === undefined) continue;
    const above = Number(Math.log(quality.perplexity / perplexity).toFixed(4));
    const figures = { perplexity: quality.perplexity, nats_above_base: above, kld: quality.kld };
    rows.push(...rowsOf(`${group}, ${name}`, figures, { name: "base", figures: { perplexity } }));
  }
  const { seconds, metrics } = await runner.measure(trained);
  return [...rows, ...rowsOf(`${group}, training`, { seconds, tokens: Number(metrics.tokens) })];
}
