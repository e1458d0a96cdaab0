import { rowsOf, type Row } from "../rows.ts";
import type { Bench, Quality } from "./bench.ts";
import { log, type Step } from "./runner.ts";

/** Three bit widths: a file type of llama-quantize, and the bits that AWQ is told. */
const BITS = { Q4_K_M: 4, Q3_K_M: 3, Q2_K: 2 };
const NEITHER = "neither";

/** The section `quantization`: importance matrix, AWQ, both and neither, on the unpruned model. */
export async function benchQuantization(bench: Bench): Promise<Row[]> {
  const { runner, base, apart, full, imatrix } = bench;
  const rows: Row[] = [];
  for (const [type, bits] of Object.entries(BITS)) {
    const name = `awq-${String(bits)}`;
    const scaled = runner.stage(name, "awq", { bits }, { model: base, datasets: apart });
    const scaledFull = bench.convert(name, scaled);
    const inputs: Record<string, Record<string, Step>> = {
      [NEITHER]: { model: full },
      imatrix: { model: full, imatrix },
      AWQ: { model: scaledFull },
      both: { model: scaledFull, imatrix: bench.importanceMatrix(name, scaledFull) },
    };
    let plain: Quality | undefined;
    for (const [how, from] of Object.entries(inputs)) {
      log(`quantization ${type}: ${how}`);
      const gguf = runner.stage(stageName(type, how), "quantize", { type }, from);
      const quality = await bench.quality(gguf.name, gguf);
      if (quality === undefined) continue;
      rows.push(
        ...rowsOf(`${type}, ${how}`, quality, plain && { name: `${type}, ${NEITHER}`, figures: plain }),
      );
      if (how === NEITHER) plain = quality;
    }
    await runner.shed(scaled, scaledFull);
  }
  return rows;
}

/** `Q4_K_M`, `AWQ` -> `q4-k-m-awq` */
export function stageName(...parts: string[]): string {
  return parts.join("-").toLowerCase().replaceAll("_", "-");
}
