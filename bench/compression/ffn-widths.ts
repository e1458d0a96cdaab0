import { rowsOf, type Row } from "../rows.ts";
import { percent } from "./best-peer.ts";
import type { Bench } from "./bench.ts";
import type { Options } from "./options.ts";
import { prunedModel } from "./pruning.ts";
import { recover } from "./recovery.ts";
import { log, type Step } from "./runner.ts";

/** The one that says how wide each layer should be. */
const METHOD = "ffn-second-order";
const WIDTHS = { "one width": "uniform", "per layer": "per-layer" } as const;

/** The section `ffn-widths`: a width for every layer beside one for all, as many channels in all; pruned, and recovered. */
export async function benchFfnWidths(bench: Bench, { ratios, tokens }: Options): Promise<Row[]> {
  const rows: Row[] = [];
  for (const share of ratios) {
    const measured: Record<string, { kld: number; kld_error: number }> = {};
    const measure = async (name: string, step: string, gguf: Step): Promise<void> => {
      log(`ffn-widths: ${percent(share)}, ${name}`);
      const metrics = await bench.evaluated(step, gguf);
      if (metrics) measured[name] = { kld: Number(metrics.kld), kld_error: Number(metrics.kldError) };
    };
    for (const [how, ffnWidths] of Object.entries(WIDTHS)) {
      const { name, model, gguf } = prunedModel(bench, share, METHOD, { ffnWidths });
      await measure(`pruned, ${how}`, name, gguf);
      const trained = recover(bench, name, model, tokens);
      await measure(`recovered, ${how}`, `${name}-recovered`, bench.convert(`${name}-recovered`, trained));
    }
    for (const [name, figures] of Object.entries(measured)) {
      const rival = name.replace("per layer", "one width");
      const theirs = name === rival ? undefined : measured[rival];
      const baseline = theirs && { name: rival, figures: { kld: theirs.kld } };
      rows.push(...rowsOf(`${percent(share)}, ${name}`, figures, baseline));
    }
  }
  return rows;
}
