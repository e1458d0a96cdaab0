import { rowsOf, type Figures, type Row } from "../rows.ts";
import { percent } from "./best-peer.ts";
import type { Bench } from "./bench.ts";
import type { Options } from "./options.ts";
import { prunedModel, type FfnWidths } from "./pruning.ts";
import { recover } from "./recovery.ts";
import { log, type Step } from "./runner.ts";

/** The one that says how wide each layer should be. */
const METHOD = "ffn-second-order";

/** The section `ffn-widths`: a width for every layer beside one for all, as many channels in all; pruned, and recovered. */
export async function benchFfnWidths(bench: Bench, { ratios, tokens }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  for (const share of ratios) {
    const one = await measure(bench, share, "uniform", tokens);
    const each = await measure(bench, share, "per-layer", tokens);
    const group = percent(share);
    for (const [step, figures] of one) rows.push(...rowsOf(`${group}, ${step}, one width`, figures));
    for (const [step, figures] of each) {
      const baseline = { name: `${step}, one width`, figures: { kld: one.get(step)?.kld } };
      rows.push(...rowsOf(`${group}, ${step}, per layer`, figures, baseline));
    }
  }
  return rows;
}

/** KL divergence from the base with its error, by step of the way; none for a model that cannot be made. */
async function measure(
  bench: Bench,
  share: number,
  ffnWidths: FfnWidths,
  tokens: number,
): Promise<Map<string, Figures>> {
  const { name, model, gguf } = prunedModel(bench, share, METHOD, { ffnWidths });
  const recovered = `${name}-recovered`;
  const steps: [step: string, name: string, gguf: Step][] = [
    ["pruned", name, gguf],
    ["recovered", recovered, bench.convert(recovered, recover(bench, name, model, tokens))],
  ];
  const measured = new Map<string, Figures>();
  for (const [step, stage, file] of steps) {
    log(`ffn-widths: ${stage}`);
    const metrics = await bench.evaluated(stage, file);
    if (metrics) measured.set(step, { kld: Number(metrics.kld), kld_error: Number(metrics.kldError) });
  }
  return measured;
}
