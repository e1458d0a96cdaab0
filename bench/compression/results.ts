import { keptFrom, type Results, type Run } from "../results.ts";
import type { Row, Section } from "./rows.ts";

/** When, from which code, on what machine and how a section was last measured. */
export interface SectionRun extends Run {
  settings: Record<string, number>;
}

/** `bench/results/compression.json` */
export interface CompressionResults extends Results {
  sections: Partial<Record<Section, SectionRun>>;
  rows: Row[];
}

/**
 * The results with one section's rows new. Older rows of it stay where this run did not measure the case, if they were
 * measured by the same settings, with the run that they are of; other sections are left as they were.
 */
export function mergeResults(
  before: CompressionResults | undefined,
  section: Section,
  { settings, ...run }: SectionRun,
  rows: readonly Row[],
): CompressionResults {
  const last = before?.sections[section];
  const comparable = JSON.stringify(last?.settings) === JSON.stringify(settings);
  const measured = new Set(rows.map(idOf));
  const kept = (before?.rows ?? []).flatMap((row) => {
    if (row.section !== section) return [row];
    if (last === undefined || !comparable || measured.has(idOf(row))) return [];
    return [keptFrom(last, row)];
  });
  return {
    bench: "compression",
    ...run,
    sections: { ...before?.sections, [section]: { ...run, settings } },
    rows: [...kept, ...rows],
  };
}

/** Whatever it is measured by: the best peer may have changed. */
function idOf({ section, case: name, metric }: Row): string {
  return [section, name, metric].join("\0");
}
