import type { Recipe } from "../../infra/recipe/recipe.ts";
import { convert, type Materials } from "./materials.ts";
import { qualityOf, type Quality } from "./pruning.ts";
import { beside } from "../results.ts";
import type { Row } from "./rows.ts";
import { log, type Runner, type Step } from "./runner.ts";

/** Three bit widths: a file type of llama-quantize, and the bits that AWQ is told. */
const WIDTHS = [
  { type: "Q4_K_M", bits: 4 },
  { type: "Q3_K_M", bits: 3 },
  { type: "Q2_K", bits: 2 },
];
const NEITHER = "neither";

/** The section `quantization`: importance matrix, AWQ, both and neither, on the unpruned model. */
export async function benchQuantization(
  runner: Runner,
  recipe: Recipe,
  materials: Materials,
): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { type, bits } of WIDTHS) {
    const scaled = runner.stage(
      `awq-${bits}`,
      "awq",
      { bits },
      { model: materials.base, datasets: materials.apart },
    );
    const full = convert(runner, `awq-${bits}`, scaled);
    const matrix = runner.stage(`imatrix-awq-${bits}`, "imatrix", recipe.steps.imatrix ?? {}, {
      model: full,
      datasets: materials.apart,
    });
    const inputs: Record<string, Record<string, Step>> = {
      [NEITHER]: { model: materials.full },
      imatrix: { model: materials.full, imatrix: materials.imatrix },
      AWQ: { model: full },
      both: { model: full, imatrix: matrix },
    };
    const measured = new Map<string, Quality>();
    for (const [how, from] of Object.entries(inputs)) {
      log(`quantization ${type}: ${how}`);
      const name = `${type.toLowerCase().replaceAll("_", "-")}-${how.toLowerCase()}`;
      const quality = await qualityOf(
        runner,
        materials,
        name,
        runner.stage(name, "quantize", { type }, from),
      );
      if (quality !== undefined) measured.set(how, quality);
    }
    await runner.shed(scaled, full);
    const plain = measured.get(NEITHER);
    for (const metric of ["perplexity", "kld"] as const)
      for (const [how, { [metric]: value }] of measured)
        rows.push({
          section: "quantization",
          case: `${type}, ${how}`,
          metric,
          value,
          unit: metric === "kld" ? "nats" : "",
          ...(how !== NEITHER && plain !== undefined && beside(value, `${type}, ${NEITHER}`, plain[metric])),
        });
  }
  return rows;
}
