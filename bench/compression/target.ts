import { startingTypes } from "../../infra/prediction/quantize-types.ts";
import type { Materials } from "./materials.ts";
import { qualityOf } from "./pruning.ts";
import { beside } from "../results.ts";
import { lowest, type Row } from "./rows.ts";
import { log, type Runner } from "./runner.ts";

/** File types for models trained in full precision: those of the Python side's `STANDARD_TYPES`. */
const NOT_STANDARD: readonly string[] = ["F32", "F16", "BF16", "TQ2_0", "TQ1_0", "Q2_0", "Q1_0", "MXFP4_MOE"];
const STANDARD_TYPES = Object.keys(startingTypes).filter((type) => !NOT_STANDARD.includes(type));
/** The targets are the sizes of these: where a rival uses up every byte, a search has it hardest. */
const TARGETS = ["Q4_K_M", "Q3_K_M", "Q2_K"];

/** The section `target`: the search against the best standard type of no larger size, all with importance matrix. */
export async function benchTarget(runner: Runner, materials: Materials): Promise<Row[]> {
  const { full, imatrix, apart } = materials;
  const standards = [];
  for (const type of STANDARD_TYPES) {
    log(`target: ${type}`);
    const name = `standard-${type.toLowerCase().replaceAll("_", "-")}`;
    const gguf = runner.stage(name, "quantize", { type }, { model: full, imatrix });
    const quality = await qualityOf(runner, materials, name, gguf);
    if (quality === undefined) continue;
    const bytes = Number((await runner.measure(gguf)).metrics.fileBytes);
    standards.push({ name: type, bytes, value: quality.kld });
  }
  const rows = standards.flatMap(({ name, bytes, value }): Row[] => [
    { section: "target", case: name, metric: "kld", value, unit: "nats" },
    { section: "target", case: name, metric: "file_bytes", value: bytes, unit: "bytes" },
  ]);
  for (const { name: type, bytes } of standards.filter(({ name }) => TARGETS.includes(name))) {
    log(`target: a search under the size of ${type}`);
    const name = `search-${type.toLowerCase().replaceAll("_", "-")}`;
    const gguf = runner.stage(
      name,
      "quantize",
      { objective: { maxFileSize: `${String(bytes)} B` } },
      { model: full, imatrix, datasets: apart },
    );
    const quality = await qualityOf(runner, materials, name, gguf);
    const rival = lowest(standards.filter((standard) => standard.bytes <= bytes));
    if (quality === undefined || rival === undefined) continue;
    const { metrics } = await runner.measure(gguf);
    const row = { section: "target", case: `search, at most ${String(bytes)} bytes` } as const;
    rows.push(
      {
        ...row,
        metric: "kld",
        value: quality.kld,
        unit: "nats",
        ...beside(quality.kld, rival.name, rival.value),
      },
      { ...row, metric: "file_bytes", value: Number(metrics.fileBytes), unit: "bytes" },
    );
  }
  return rows;
}
