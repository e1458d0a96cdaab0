import type { Bench } from "../compression/bench.ts";
import { best, percent } from "../compression/best-peer.ts";
import { prunedModel } from "../compression/pruning.ts";
import { stageName } from "../compression/quantization.ts";
import { recover } from "../compression/recovery.ts";
import { log, type Step } from "../compression/runner.ts";
import { rowsOf, type Row } from "../rows.ts";

/** Standard types of no larger size that come next, by type: `llama-quantize --dry-run` said so, and it is looked at again. */
const RIVALS: Readonly<Record<string, readonly string[]>> = {
  IQ2_S: ["IQ2_XS"],
  IQ3_XXS: ["Q2_K_S", "IQ2_M"],
  IQ3_S: ["Q3_K_S", "IQ3_XS"],
};

/** Two files of the same types differ in so much at most: in the names that their metadata keep. */
const METADATA_BYTES = 4096;

/** Pruned by what loses least of what takes minutes, and refitted. */
const METHOD = "ffn-second-order";

/** A share of the parameters that goes, and the type of what is left. */
export interface PrunedPlan {
  pruningRatio: number;
  type: string;
}

/**
 * Pruned plans whose files are no larger than the unpruned model in a type: an FFN of 1,280 or 1,024 channels of 1,536,
 * whole blocks of 256, in the largest type that there is room for.
 */
export const PRUNED: Readonly<Record<string, readonly PrunedPlan[]>> = {
  IQ2_XS: [
    { pruningRatio: 0.09, type: "IQ2_S" },
    { pruningRatio: 0.185, type: "IQ3_XXS" },
  ],
  IQ1_M: [{ pruningRatio: 0.185, type: "IQ2_XS" }],
  IQ1_S: [
    { pruningRatio: 0.09, type: "IQ1_M" },
    { pruningRatio: 0.185, type: "IQ2_XXS" },
  ],
};

/** By how much held-back text each training is judged. */
const JUDGED = { validationTokens: 4096 };

/** KL divergence from the base, its standard error, and the file. */
export interface Measured {
  name: string;
  kld: number;
  error: number;
  bytes: number;
}

/** A model that can be quantized: its folder, the GGUF in full precision, and what matters in it. */
type Model = Pick<Bench, "base" | "full" | "imatrix">;

/** One type: what training that knows it leaves, beside the same type without, and the best type of no larger size. */
export async function benchTypes(bench: Bench, type: string, tokens: number): Promise<Row[]> {
  const { runner, base, full, imatrix } = bench;
  const { trained, measured: aware } = await measureAware(bench, "aware", bench, type, tokens);
  if (aware === undefined) return [];
  const unpruned = [];
  for (const rival of [type, ...(RIVALS[type] ?? [])]) {
    const measured = await measure(bench, "unpruned", full, imatrix, rival);
    if (measured !== undefined && measured.bytes <= aware.bytes + METADATA_BYTES) unpruned.push(measured);
  }
  // Without pruning the student is its teacher: ordinary recovery has nothing to learn and, looking often, soon ends.
  const plain = recover(bench, "ordinary", base, tokens, { settings: { ...JUDGED, validations: 20 } });
  const ordinary = await measure(bench, "ordinary recovery", bench.convert("ordinary", plain), imatrix, type);
  if (ordinary === undefined) return [];
  const rival = best(unpruned, "kld");
  const size = await bitsAWeight(bench, aware.bytes);
  const { metrics, seconds } = await runner.measure(trained);
  return [
    ...rowsOf(`${size}, training`, { seconds, tokens: Number(metrics.tokens), kld: Number(metrics.klAfter) }),
    ...[ordinary, aware, ...unpruned].flatMap(figuresOf),
    ...compared(`${size}, aware against ordinary`, aware, ordinary),
    ...(rival === undefined ? [] : compared(`${size}, aware against unpruned`, aware, rival)),
  ];
}

/**
 * Whether pruning pays at the size of the unpruned model in `type`: pruned models in larger types, in files that are no
 * larger, beside it, all after the same training that knows its type; and the unpruned one as llama.cpp makes it.
 */
export async function benchPruned(
  bench: Bench,
  type: string,
  plans: readonly PrunedPlan[],
  tokens: number,
): Promise<Row[]> {
  const plain = await measure(bench, "unpruned", bench.full, bench.imatrix, type);
  const { measured: unpruned } = await measureAware(bench, "unpruned, aware", bench, type, tokens);
  if (plain === undefined || unpruned === undefined) return [];
  const pruned: Measured[] = [];
  for (const { pruningRatio, type: larger } of plans) {
    const { name, model, gguf } = prunedModel(bench, pruningRatio, METHOD);
    const part: Model = { base: model, full: gguf, imatrix: bench.importanceMatrix(name, gguf) };
    const label = `pruned by ${percent(pruningRatio)}, aware`;
    const { measured } = await measureAware(bench, label, part, larger, tokens);
    if (measured !== undefined && measured.bytes <= unpruned.bytes + METADATA_BYTES) pruned.push(measured);
  }
  const ours = best(pruned, "kld");
  const size = await bitsAWeight(bench, unpruned.bytes);
  return [
    ...[plain, unpruned, ...pruned].flatMap(figuresOf),
    ...(ours === undefined ? [] : compared(`${size}, pruned against unpruned`, ours, unpruned)),
  ];
}

/** Training that knows the type, by the recipe's settings; and what it left, quantized by the importance it went by. */
async function measureAware(
  bench: Bench,
  name: string,
  { base, full, imatrix }: Model,
  type: string,
  tokens: number,
): Promise<{ trained: Step; measured: Measured | undefined }> {
  const step = stageName(words(name), type);
  const trained = recover(bench, step, base, tokens, {
    // Quantized anew as often as held-back text is looked at: more of it would take i-quants longer than the training.
    settings: { ...JUDGED, validations: 5, refreshes: 4 },
    inputs: { converted: full, imatrix },
    added: { quantize: { type } },
  });
  return { trained, measured: await measure(bench, name, bench.convert(step, trained), imatrix, type) };
}

/** A model in one type against the base; undefined where it cannot be had. */
async function measure(
  bench: Bench,
  name: string,
  full: Step,
  imatrix: Step,
  type: string,
): Promise<Measured | undefined> {
  log(`recovery-types ${type}: ${name}`);
  const step = stageName(words(name), type);
  const gguf = bench.runner.stage(step, "quantize", { type }, { model: full, imatrix });
  const metrics = await bench.evaluated(step, gguf);
  if (metrics === undefined) return undefined;
  const { kld, kldError, fileBytes } = metrics;
  return { name: `${type}, ${name}`, kld: Number(kld), error: Number(kldError), bytes: Number(fileBytes) };
}

/** `pruned-by-18-5-aware` of `pruned by 18.5 %, aware`: what may stand in the name of a stage. */
function words(name: string): string {
  return name.replaceAll(/[^a-z0-9]+/g, "-");
}

/** Of a file, over the parameters of the unpruned model. */
async function bitsAWeight(bench: Bench, bytes: number): Promise<string> {
  const parameters = Number((await bench.runner.measure(bench.base)).metrics.parameters);
  return `${((8 * bytes) / parameters).toFixed(2)} bits a weight`;
}

function figuresOf({ name, kld, error, bytes }: Measured): Row[] {
  return rowsOf(name, { kld, kld_error: error, file_bytes: bytes });
}

/** KL divergence beside a rival's, and the standard error of their ratio as if they were measured on different text. */
export function compared(name: string, ours: Measured, theirs: Measured): Row[] {
  const rows = rowsOf(name, { kld: ours.kld }, { name: theirs.name, figures: { kld: theirs.kld } });
  const error = (ours.kld / theirs.kld) * Math.hypot(ours.error / ours.kld, theirs.error / theirs.kld);
  return [...rows, ...rowsOf(name, { kld_ratio_error: Number(error.toFixed(4)) })];
}
