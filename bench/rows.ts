import Table from "cli-table3";
import { formatBytes, formatDuration } from "../common/units.ts";

/** One figure of one case. `baseline` names what it is measured by; `ratio` is ours over the baseline's. */
export interface Row {
  case: string;
  metric: string;
  value: number;
  /** `s`, `bytes`, `bytes/s`, `tokens/s`, `nats`, `%` of a share; empty where the metric has none. */
  unit: string;
  baseline?: string;
  baselineValue?: number;
  ratio?: number;
}

/** Figures of one case by metric, which ends in its unit: `file_bytes`, `seconds`. Undefined ones were not measured. */
export type Figures = Readonly<Record<string, number | undefined>>;

/** A row for each figure of a case, beside the same figure of what it is measured by. */
export function rowsOf(name: string, figures: Figures, baseline?: { name: string; figures: Figures }): Row[] {
  return Object.entries(figures).flatMap(([metric, value]): Row[] => {
    if (value === undefined) return [];
    const row = { case: name, metric, value, unit: unitOf(metric) };
    const theirs = baseline?.figures[metric];
    if (baseline === undefined || theirs === undefined) return [row];
    const ratio = Number((value / theirs).toFixed(4));
    return [{ ...row, baseline: baseline.name, baselineValue: theirs, ratio }];
  });
}

/** Units by how the names of their metrics end. */
const units = {
  seconds: "s",
  bytes: "bytes",
  bytes_per_second: "bytes/s",
  tokens_per_second: "tokens/s",
  kld: "nats",
  kld_error: "nats",
  nats_above_base: "nats",
  share: "%",
};

function unitOf(metric: string): string {
  return Object.entries(units).find(([ending]) => metric.endsWith(ending))?.[1] ?? "";
}

const formats: Record<string, (value: number) => string> = {
  s: (seconds) => (seconds < 60 ? `${seconds.toFixed(1)} s` : formatDuration(seconds)),
  bytes: formatBytes,
  "bytes/s": (value) => `${formatBytes(value)}/s`,
  "tokens/s": (value) => `${fourDigits(value)} tokens/s`,
  nats: (value) => value.toFixed(4),
  "%": (share) => `${(100 * share).toFixed(1)} %`,
};

/** A figure as tables show it. */
export function formatFigure(value: number, unit: string): string {
  return (formats[unit] ?? fourDigits)(value);
}

/** Four digits at least, and no exponent. */
function fourDigits(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(4);
}

/** Rows for a terminal. */
export function resultsTable(rows: readonly Row[]): string {
  const table = new Table({
    head: ["case", "metric", "value", "measured by", "its value", "ratio"],
    colAligns: ["left", "left", "right", "left", "right", "right"],
    style: { head: [], border: [] },
  });
  for (const { case: name, metric, value, unit, baseline = "", baselineValue, ratio } of rows)
    table.push([
      name,
      metric,
      formatFigure(value, unit),
      baseline,
      baselineValue === undefined ? "" : formatFigure(baselineValue, unit),
      ratio?.toFixed(3) ?? "",
    ]);
  return table.toString();
}
