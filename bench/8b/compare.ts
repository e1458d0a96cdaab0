import { fileBytes } from "../../infra/prediction/file-size.ts";
import { flopsOf } from "../../infra/prediction/machines.ts";
import { predictRelease, quantizationOf } from "../../infra/prediction/predict.ts";
import { prunedShape } from "../../infra/prediction/pruned-shape.ts";
import { shapeOfFetched } from "../../infra/prediction/shape.ts";
import { stageCost } from "../../infra/prediction/stage-costs.ts";
import type { StageName } from "../../infra/stage/node.ts";
import type { Machine } from "../results.ts";
import { rowsOf, type Figures, type Row } from "../rows.ts";
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
): Row[] {
  const before = shapeOfFetched({ metrics: shape });
  if (before === undefined) throw new Error("the model's shape was not measured");
  const pruning = pruningOf(part);
  const after = pruning === undefined ? before : prunedShape(before, pruning);
  const flops = part.gpu ? flopsOf(machine.class) : undefined;
  // Without an importance matrix: it decides no size of the types that these recipes name.
  const toldOf = (stage: string) =>
    quantizationOf(
      { stage: stage as StageName, params: part.steps[stage] ?? {}, inputs: {} },
      after,
      new Map(),
    );
  const besidePrediction = (name: string, figures: Figures, predicted: Figures): Row[] =>
    rowsOf(name, figures, { name: "prediction", figures: predicted });
  const rows = stages.flatMap(({ name: stage, metrics, ...measured }) => {
    const params = part.steps[stage];
    if (params === undefined) return [];
    const quantization = toldOf(stage);
    const cost = stageCost(
      { stage, params, before: stage === "prune" ? before : after, after, quantization },
      { cores: machine.cores, ...(flops !== undefined && { flops }) },
    );
    return besidePrediction(
      rowName(part, stage),
      {
        file_bytes: measured.fileBytes ?? undefined,
        seconds: measured.seconds,
        train_tokens_per_second: metrics.trainTokensPerSecond,
        peak_gpu_bytes: metrics.peakGpuBytes,
        peak_anonymous_bytes: measured.peakAnonymousBytes,
        peak_rss_bytes: measured.peakRssBytes,
      },
      {
        file_bytes: quantization && fileBytes(after, quantization),
        // Of a GPU that nothing is known of, nothing is predicted.
        seconds: part.gpu && flops === undefined ? undefined : cost.seconds,
      },
    );
  });
  const quantized = toldOf("quantize");
  if (server === null || quantized === undefined) return rows;
  const { memoryBytes } = predictRelease(after, quantized, settings);
  return [
    ...rows,
    ...besidePrediction(
      `llama-server${part.note}`,
      { peak_rss_bytes: server.peakRssBytes },
      { peak_rss_bytes: memoryBytes },
    ),
    ...rowsOf(`llama-server ready, emulated${part.note}`, { seconds: server.secondsToReady }),
  ];
}
