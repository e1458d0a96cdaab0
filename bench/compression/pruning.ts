import { rowsOf, type Row } from "../rows.ts";
import type { Bench, Quality } from "./bench.ts";
import type { Options } from "./options.ts";
import { PEERS } from "./methods.ts";
import { besideBestPeer, percent, type Measured } from "./best-peer.ts";
import { log, type Step } from "./runner.ts";

/** Text that scores and fits are made on: the same for ours and for the peers. */
const CALIBRATION = { calibrationTokens: 16384, sequenceLength: 512 };
/** What Torch-Pruning scores by. */
const IMPORTANCE: Readonly<Record<string, string>> = {
  "torch-pruning": "magnitude",
  "torch-pruning-taylor": "taylor",
};

/** A pruned model: the folder that recovery takes, and the GGUF that is measured. */
export interface Pruned {
  /** `mixed-10` */
  name: string;
  method: string;
  model: Step;
  gguf: Step;
}

/** One FFN width for all layers, or one for each. */
export type FfnWidths = "uniform" | "per-layer";

/** How a pruning differs from what all methods are compared by. */
interface Wishes {
  calibrationTokens?: number;
  ffnWidths?: FfnWidths;
}

/** One method at one ratio. Nothing runs yet. */
export function prunedModel(
  bench: Bench,
  pruningRatio: number,
  method: string,
  { calibrationTokens = CALIBRATION.calibrationTokens, ffnWidths = "uniform" }: Wishes = {},
): Pruned {
  const { runner, base, full, imatrix, mixed } = bench;
  const widths = ffnWidths === "uniform" ? "" : `-${ffnWidths}`;
  const name = `${method}-${String(Math.round(100 * pruningRatio))}${widths}`;
  if (method === "prune-layers") {
    const params = { pruningRatio, type: "F16" };
    const model = runner.peer(name, method, params, { base, model: full, imatrix });
    return { name, method, model, gguf: model };
  }
  const inputs = { model: base, datasets: mixed };
  const params = { pruningRatio, ...CALIBRATION, calibrationTokens };
  const importance = IMPORTANCE[method];
  // The controls are what they are without a fit of the rest.
  const reconstruct = !(method in PEERS);
  const model =
    importance === undefined
      ? runner.stage(`prune-${name}`, "prune", { method, ffnWidths, reconstruct, ...params }, inputs)
      : runner.peer(name, "torch-pruning", { importance, ...params }, inputs);
  return { name, method, model, gguf: bench.convert(name, model) };
}

/**
 * Rows of the base, and of every method at every ratio.
 * @param measure gives a model's name in the rows, and its figures where it has any
 */
export async function everyMethod(
  bench: Bench,
  { ratios, methods }: Options,
  section: string,
  measure: (pruned: Pruned) => Promise<({ name: string } & Quality) | undefined>,
): Promise<Row[]> {
  const rows = rowsOf("base", { perplexity: await bench.basePerplexity() });
  for (const share of ratios) {
    const models: Measured[] = [];
    for (const method of methods) {
      log(`${section} ${percent(share)}: ${method}`);
      const measured = await measure(prunedModel(bench, share, method));
      if (measured !== undefined) models.push({ ...measured, isPeer: method in PEERS });
    }
    rows.push(...besideBestPeer(percent(share), models));
  }
  return rows;
}

/** The section `pruning`: every method at every ratio, without recovery. */
export function benchPruning(bench: Bench, options: Options): Promise<Row[]> {
  return everyMethod(bench, options, "pruning", async ({ name, method, model, gguf }) => {
    const quality = await bench.quality(name, gguf);
    if (quality === undefined) return undefined;
    const removed = Number((await bench.runner.measure(model)).metrics.pruningRatio);
    return { name: `${method} (${percent(removed)})`, ...quality };
  });
}
