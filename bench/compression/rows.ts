import { beside, type Row as AnyRow } from "../results.ts";
import { table } from "../table.ts";

/** One figure of one case; `baseline` names a peer. */
export interface Row extends AnyRow {
  section: Section;
}

export const sections = ["pruning", "recovery", "minutes", "quantization", "target", "speed"] as const;
export type Section = (typeof sections)[number];

/** The same figure of several models, some of them ours, some peers'. */
export interface Measured {
  name: string;
  isPeer: boolean;
  value: number;
}

/** Of equals the first. */
export function lowest<T extends { value: number }>(measured: readonly T[]): T | undefined {
  return measured.reduce<T | undefined>(
    (best, one) => (best === undefined || one.value < best.value ? one : best),
    undefined,
  );
}

/** A row for each; ours beside the peer that did best, where less is better. */
export function besideBestPeer(
  section: Section,
  metric: string,
  unit: string,
  group: string,
  measured: readonly Measured[],
): Row[] {
  const best = lowest(measured.filter(({ isPeer }) => isPeer));
  return measured.map(({ name, isPeer, value }) => ({
    section,
    case: `${group}, ${name}`,
    metric,
    value,
    unit,
    ...(!isPeer && best !== undefined && beside(value, best.name, best.value)),
  }));
}

/** Rows for a terminal. */
export function rowsTable(rows: readonly Row[]): string {
  return table(
    ["case", "metric", "value", "measured by", "its value", "ratio"],
    "llrlrr",
    rows.map(({ case: name, metric, value, unit, baseline = "", baselineValue, ratio }) => [
      ...[name, metric, [figure(value), unit].join(" ").trim(), baseline],
      ...[baselineValue === undefined ? "" : figure(baselineValue), ratio?.toFixed(3) ?? ""],
    ]),
  );
}

/** Four digits, and no exponent. */
function figure(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(4)));
}

/** `10 %` */
export function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))} %`;
}
