import { startingTypes } from "../../infra/prediction/quantize-types.ts";
import { rowsOf, type Row } from "../rows.ts";
import type { Bench } from "./bench.ts";
import { stageName } from "./quantization.ts";
import { best } from "./best-peer.ts";
import { log, type Step } from "./runner.ts";

/** File types for models trained in full precision: those of the Python side's `STANDARD_TYPES`. */
const NOT_STANDARD: readonly string[] = ["F32", "F16", "BF16", "TQ2_0", "TQ1_0", "Q2_0", "Q1_0", "MXFP4_MOE"];
const STANDARD_TYPES = Object.keys(startingTypes).filter((type) => !NOT_STANDARD.includes(type));
/** The search gets the sizes of these: where a rival uses up every byte, a search has it hardest. */
const SIZES_OF = ["Q4_K_M", "Q3_K_M", "Q2_K"];

/**
 * The section `mixed-precision`: the search for the best mix of tensor types under a size (`quantize.objective`) against the
 * best standard type of no larger size, all with importance matrix.
 */
export async function benchMixedPrecision(bench: Bench): Promise<Row[]> {
  const { runner, full, imatrix, apart } = bench;
  const quantized = async (name: string, params: object, inputs: Record<string, Step> = {}) => {
    log(`mixed-precision: ${name}`);
    const gguf = runner.stage(name, "quantize", params, { model: full, imatrix, ...inputs });
    const quality = await bench.quality(name, gguf);
    if (quality === undefined) return undefined;
    return { kld: quality.kld, file_bytes: Number((await runner.measure(gguf)).metrics.fileBytes) };
  };
  const standards = [];
  for (const type of STANDARD_TYPES) {
    const figures = await quantized(stageName("standard", type), { type });
    if (figures !== undefined) standards.push({ type, ...figures });
  }
  const rows = standards.flatMap(({ type, ...figures }) => rowsOf(type, figures));
  for (const { type, file_bytes: bytes } of standards.filter(({ type }) => SIZES_OF.includes(type))) {
    const objective = { maxFileSize: `${String(bytes)} B` };
    const figures = await quantized(stageName("search", type), { objective }, { datasets: apart });
    const rival = best(
      standards.filter(({ file_bytes }) => file_bytes <= bytes),
      "kld",
    );
    if (figures === undefined || rival === undefined) continue;
    const baseline = { name: rival.type, figures: { kld: rival.kld } };
    rows.push(...rowsOf(`search, at most ${String(bytes)} bytes`, figures, baseline));
  }
  return rows;
}
