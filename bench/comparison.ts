import Table from "cli-table3";
import { formatBytes, formatDuration } from "../common/units.ts";

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
  const table = new Table({
    head: ["what", "metric", "measured", "predicted", "off by"],
    colAligns: ["left", "left", "right", "right", "right"],
    style: { head: [], border: [] },
  });
  for (const { metric, what, value, predicted } of results) {
    const format = formats[unitOf(metric)];
    table.push([
      what,
      metric,
      format(value),
      predicted === undefined ? "" : format(predicted),
      predicted === undefined ? "" : `${(100 * (value / predicted - 1)).toFixed(2)} %`,
    ]);
  }
  return table.toString();
}

const formats = { bytes: formatBytes, s: formatDuration, "tokens/s": (value: number) => value.toFixed(1) };

/** The unit that a metric's name ends in. */
export function unitOf(metric: string): keyof typeof formats {
  if (metric.endsWith("bytes")) return "bytes";
  return metric.endsWith("tokens_per_second") ? "tokens/s" : "s";
}
