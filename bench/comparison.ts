import { formatBytes, formatDuration } from "../common/units.ts";
import { table } from "./table.ts";

/** One measured figure, and what was predicted for it. */
export interface Comparison {
  /** Ends in its unit: `file_bytes`, `seconds`, `train_tokens_per_second`. */
  metric: string;
  what: string;
  value: number;
  predicted?: number | undefined;
}

/** Measured beside predicted, and how far apart they are. */
export function comparisonTable(results: readonly Comparison[]): string {
  const rows = results.map(({ metric, what, value, predicted }) => {
    const format = formats[unitOf(metric)];
    const beside =
      predicted === undefined
        ? ["", ""]
        : [format(predicted), `${(100 * (value / predicted - 1)).toFixed(2)} %`];
    return [what, metric, format(value), ...beside];
  });
  return table(["what", "metric", "measured", "predicted", "off by"], "llrrr", rows);
}

const formats = { bytes: formatBytes, s: formatDuration, "tokens/s": (value: number) => value.toFixed(1) };

/** The unit that a metric's name ends in. */
export function unitOf(metric: string): keyof typeof formats {
  if (metric.endsWith("bytes")) return "bytes";
  return metric.endsWith("tokens_per_second") ? "tokens/s" : "s";
}
