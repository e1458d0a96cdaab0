import { formatted } from "../../infra/recipe/generate-types.ts";
import { readResults } from "../results.ts";

/** What predictions of batches read, from the root of the repository. */
export const generatedCycles = "infra/prediction/kernel-cycles.generated.ts";

/** What that file should hold: `npm run generate` writes it. */
export async function generateCycles(): Promise<string> {
  const cycles: Record<string, Record<string, number>> = {};
  for (const { case: name, metric, value } of readResults("a72").flatMap(({ rows }) => rows)) {
    const [use = "", type = ""] = name.split(" ");
    if (metric === "cycles_per_weight") cycles[type] = { ...cycles[type], [use]: value };
  }
  const text = [
    "// From bench/results/a72.json, which `npm run bench:a72` writes, with `npm run generate`; change that instead.",
    'import type { BlockType } from "./block-types.ts";',
    "",
    "/** Cycles per weight and column of our kernels: of four columns at a time (`prompt`), and of one (`generation`). */",
    "export const kernelCycles: Readonly<Partial<Record<BlockType, { prompt: number; generation: number }>>> =",
    `${JSON.stringify(cycles)};`,
  ].join("\n");
  return formatted(generatedCycles, text);
}
