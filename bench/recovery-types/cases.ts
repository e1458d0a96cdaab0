import type { Bench } from "../compression/bench.ts";
import { best } from "../compression/best-peer.ts";
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

/** By how much held-back text each training is judged. */
const JUDGED = { validationTokens: 4096 };

/** KL divergence from the base, its standard error, and the file. */
export interface Measured {
  name: string;
  kld: number;
  error: number;
  bytes: number;
}

/** One type: what training that knows it leaves, beside the same type without, and the best type of no larger size. */
export async function benchTypes(bench: Bench, type: string, tokens: number): Promise<Row[]> {
  const { runner, base, full, imatrix } = bench;
  const measure = async (name: string, model: Step, kind: string): Promise<Measured | undefined> => {
    log(`recovery-types ${kind}: ${name}`);
    const gguf = runner.stage(
      stageName(name.replace(" ", "-"), kind),
      "quantize",
      { type: kind },
      { model, imatrix },
    );
    const metrics = await bench.evaluated(gguf.name, gguf);
    if (metrics === undefined) return undefined;
    const { kld, kldError, fileBytes } = metrics;
    return { name: `${kind}, ${name}`, kld: Number(kld), error: Number(kldError), bytes: Number(fileBytes) };
  };
  // Quantized anew as often as held-back text is looked at: more of it would take i-quants longer than the training.
  const trained = recover(bench, stageName(type), base, tokens, {
    settings: { ...JUDGED, validations: 5, refreshes: 4 },
    inputs: { converted: full, imatrix },
    added: { quantize: { type } },
  });
  const aware = await measure("aware", bench.convert(stageName("aware", type), trained), type);
  if (aware === undefined) return [];
  const unpruned = [];
  for (const rival of [type, ...(RIVALS[type] ?? [])]) {
    const measured = await measure("unpruned", full, rival);
    if (measured !== undefined && measured.bytes <= aware.bytes + METADATA_BYTES) unpruned.push(measured);
  }
  // Without pruning the student is its teacher: ordinary recovery has nothing to learn and, looking often, soon ends.
  const plain = recover(bench, "ordinary", base, tokens, { settings: { ...JUDGED, validations: 20 } });
  const ordinary = await measure("ordinary recovery", bench.convert("ordinary", plain), type);
  if (ordinary === undefined) return [];
  const rival = best(unpruned, "kld");
  const parameters = Number((await runner.measure(base)).metrics.parameters);
  const size = `${((8 * aware.bytes) / parameters).toFixed(2)} bits a weight`;
  const { metrics, seconds } = await runner.measure(trained);
  return [
    ...rowsOf(`${size}, training`, { seconds, tokens: Number(metrics.tokens), kld: Number(metrics.klAfter) }),
    ...[ordinary, aware, ...unpruned].flatMap(({ name, kld, error, bytes }) =>
      rowsOf(name, { kld, kld_error: error, file_bytes: bytes }),
    ),
    ...compared(`${size}, aware against ordinary`, aware, ordinary),
    ...(rival === undefined ? [] : compared(`${size}, aware against unpruned`, aware, rival)),
  ];
}

/** KL divergence beside a rival's, and the standard error of their ratio as if they were measured on different text. */
export function compared(name: string, ours: Measured, theirs: Measured): Row[] {
  const rows = rowsOf(name, { kld: ours.kld }, { name: theirs.name, figures: { kld: theirs.kld } });
  const error = (ours.kld / theirs.kld) * Math.hypot(ours.error / ours.kld, theirs.error / theirs.kld);
  return [...rows, ...rowsOf(name, { kld_ratio_error: Number(error.toFixed(4)) })];
}
