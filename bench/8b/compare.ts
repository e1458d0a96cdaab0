import { flopsOf } from "../../infra/prediction/machines.ts";
import { fileBytes } from "../../infra/prediction/file-size.ts";
import { predictRelease } from "../../infra/prediction/predict.ts";
import { prunedShape } from "../../infra/prediction/pruned-shape.ts";
import type { Quantization, QuantizeType } from "../../infra/prediction/quantize-types.ts";
import { shapeOfFetched } from "../../infra/prediction/shape.ts";
import { stageCost } from "../../infra/prediction/stage-costs.ts";
import type { Comparison } from "../comparison.ts";
import type { Machine } from "../results.ts";
import { pruningOf, rowName, type Part } from "./parts.ts";

/** What `pipress.bench.eight_b` prints. */
export interface Measured {
  shape: Parameters<typeof shapeOfFetched>[0]["metrics"];
  /** The first is making the model. */
  stages: MeasuredStage[];
  /** Null where the last stage leaves no GGUF. */
  server: { secondsToReady: number; peakRssBytes: number } | null;
  machine: Machine;
}

interface MeasuredStage {
  name: string;
  seconds: number;
  peakRssBytes: number;
  peakAnonymousBytes: number;
  /** Of its GGUF. */
  fileBytes: number | null;
  metrics: { peakGpuBytes?: number; trainTokensPerSecond?: number };
}

/** Every figure of a part beside what was predicted for it. */
export function compare(
  part: Part,
  { shape, stages, server, machine }: Measured,
  settings: { contextLength: number },
): Comparison[] {
  const before = shapeOfFetched({ metrics: shape });
  if (before === undefined) throw new Error("the model's shape was not measured");
  const pruning = pruningOf(part);
  const after = pruning === undefined ? before : prunedShape(before, pruning);
  const flops = part.gpu ? flopsOf(machine.class) : undefined;
  const rows = stages
    .filter(({ name }) => name in part.steps)
    .flatMap((measured): Comparison[] => {
      const { name: stage, seconds, fileBytes: bytes, peakAnonymousBytes, peakRssBytes } = measured;
      const { peakGpuBytes, trainTokensPerSecond } = measured.metrics;
      const params = part.steps[stage] ?? {};
      const quantization = quantizationOf(stage, params);
      const cost = stageCost(
        { stage, params, before: stage === "prune" ? before : after, after, quantization },
        { cores: machine.cores, ...(flops !== undefined && { flops }) },
      );
      // Of a GPU that nothing is known of, nothing is predicted.
      const predicted = part.gpu && flops === undefined ? undefined : cost.seconds;
      const what = rowName(part, stage);
      return [
        ...(bytes === null || quantization === undefined
          ? []
          : [{ metric: "file_bytes", what, value: bytes, predicted: fileBytes(after, quantization) }]),
        { metric: "seconds", what, value: seconds, predicted },
        ...(trainTokensPerSecond === undefined
          ? []
          : [{ metric: "train_tokens_per_second", what, value: trainTokensPerSecond }]),
        ...(peakGpuBytes === undefined ? [] : [{ metric: "peak_gpu_bytes", what, value: peakGpuBytes }]),
        { metric: "peak_anonymous_bytes", what, value: peakAnonymousBytes },
        { metric: "peak_rss_bytes", what, value: peakRssBytes },
      ];
    });
  const quantized = quantizationOf("quantize", part.steps.quantize ?? {});
  if (server === null || quantized === undefined) return rows;
  const { memoryBytes } = predictRelease(after, quantized, settings);
  return [
    ...rows,
    { metric: "peak_rss_bytes", what: "llama-server", value: server.peakRssBytes, predicted: memoryBytes },
    { metric: "seconds", what: "llama-server ready, emulated", value: server.secondsToReady },
  ];
}

/** Types of the GGUF that a stage leaves; undefined where it leaves a folder of weights. */
function quantizationOf(stage: string, { type }: Record<string, unknown>): Quantization | undefined {
  if (stage !== "convert" && stage !== "quantize") return undefined;
  return { type: String(type).toUpperCase() as QuantizeType, imatrix: false };
}
