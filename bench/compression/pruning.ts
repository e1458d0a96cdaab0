import { convert, evaluate, type Materials } from "./materials.ts";
import { OURS, PRUNE_LAYERS, TORCH_PRUNING } from "./methods.ts";
import type { Options } from "./options.ts";
import { besideBestPeer, percent, type Row } from "./rows.ts";
import { log, StepFailed, type Runner, type Step } from "./runner.ts";

/** Text that scores and fits are made on: the same for ours and for the peers. */
export const CALIBRATION = { calibrationTokens: 16384, sequenceLength: 512 };

/** A pruned model: the folder that recovery takes, and the GGUF that is measured. */
export interface Pruned {
  method: string;
  isPeer: boolean;
  model: Step;
  gguf: Step;
}

/** Every method at one ratio. Nothing runs yet. */
export function prunedModels(
  runner: Runner,
  materials: Materials,
  share: number,
  { methods }: Pick<Options, "methods">,
): Pruned[] {
  return methods.map((method) => prunedModel(runner, materials, share, method, materials.mixed));
}

/** One method at one ratio, calibrated on the given texts. */
export function prunedModel(
  runner: Runner,
  { base, full, imatrix }: Materials,
  share: number,
  method: string,
  texts: Step,
  calibration = CALIBRATION,
): Pruned {
  const isPeer = !(OURS as readonly string[]).includes(method);
  const name = `${method}-${String(Math.round(100 * share))}`;
  const pruningRatio = share;
  if (method === PRUNE_LAYERS) {
    const params = { pruningRatio, type: "F16" };
    const model = runner.peer(name, "prune-layers", params, { base, model: full, imatrix });
    return { method, isPeer, model, gguf: model };
  }
  const importance = TORCH_PRUNING[method as keyof typeof TORCH_PRUNING];
  // The controls are what they are without a fit of the rest.
  const ours = { method, pruningRatio, reconstruct: !isPeer, ...calibration };
  const model =
    importance === undefined
      ? runner.stage(`prune-${name}`, "prune", ours, { model: base, datasets: texts })
      : runner.peer(
          name,
          "torch-pruning",
          { importance, pruningRatio, ...calibration },
          { model: base, datasets: texts },
        );
  return { method, isPeer, model, gguf: convert(runner, name, model) };
}

/** Perplexity and divergence of one model. */
export interface Quality {
  perplexity: number;
  kld: number;
}

/**
 * Measures one GGUF and sheds it; undefined, said why, where it cannot be made.
 * @param keep whether a later case needs its files
 */
export async function qualityOf(
  runner: Runner,
  materials: Materials,
  name: string,
  gguf: Step,
  keep = false,
): Promise<Quality | undefined> {
  const quality = await runner.measure(evaluate(runner, name, gguf, materials)).then(
    ({ metrics }) => ({ perplexity: Number(metrics.perplexity), kld: Number(metrics.kld) }),
    (error: unknown) => {
      if (!(error instanceof StepFailed)) throw error;
      log(`no figures for ${name}: ${error.message}`);
      return undefined;
    },
  );
  if (!keep) await runner.shed(gguf);
  return quality;
}

/** The section `pruning`: every method at every ratio, without recovery. */
export async function benchPruning(runner: Runner, materials: Materials, options: Options): Promise<Row[]> {
  const rows = await baseRows(runner, materials, "pruning");
  for (const share of options.ratios) {
    const measured = [];
    for (const { method, isPeer, model, gguf } of prunedModels(runner, materials, share, options)) {
      log(`pruning ${percent(share)}: ${method}`);
      const name = `${method}-${String(Math.round(100 * share))}`;
      const quality = await qualityOf(runner, materials, name, gguf, gguf === model);
      if (quality === undefined) continue;
      const removed = Number((await runner.measure(model)).metrics.pruningRatio);
      measured.push({ name: `${method} (${percent(removed)})`, isPeer, ...quality });
    }
    rows.push(...qualityRows("pruning", percent(share), measured));
  }
  return rows;
}

/** Perplexity and KL divergence of models of one ratio, each beside the best peer's. */
export function qualityRows(
  section: Row["section"],
  group: string,
  measured: readonly (Quality & { name: string; isPeer: boolean })[],
): Row[] {
  return (["perplexity", "kld"] as const).flatMap((metric) =>
    besideBestPeer(
      section,
      metric,
      metric === "kld" ? "nats" : "",
      group,
      measured.map(({ name, isPeer, [metric]: value }) => ({ name, isPeer, value })),
    ),
  );
}

/** The base model's own perplexity, which all others are to be seen beside. */
export async function baseRows(
  runner: Runner,
  { reference }: Materials,
  section: Row["section"],
): Promise<Row[]> {
  const { metrics } = await runner.measure(reference);
  return [{ section, case: "base", metric: "perplexity", value: Number(metrics.perplexity), unit: "" }];
}
