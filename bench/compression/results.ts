import type { Row, Section } from "./rows.ts";

/** When, from which code, on what machine and how a section was last measured. */
export interface Run {
  date: string;
  commit: string;
  /** Processor, cores, memory. */
  device: string;
  settings: Record<string, number>;
}

/** `bench/results/compression.json` */
export interface Results extends Run {
  bench: "compression";
  sections: Partial<Record<Section, Run>>;
  results: Row[];
}

/**
 * The results with one section's rows new. Older rows of it stay where this run did not measure the case, if they were
 * measured by the same settings; other sections are left as they were.
 */
export function mergeResults(
  before: Results | undefined,
  section: Section,
  run: Run,
  rows: readonly Row[],
): Results {
  const comparable = JSON.stringify(before?.sections[section]?.settings) === JSON.stringify(run.settings);
  const measured = new Set(rows.map(idOf));
  const kept = (before?.results ?? []).filter((row) =>
    row.section === section ? comparable && !measured.has(idOf(row)) : true,
  );
  return {
    bench: "compression",
    ...run,
    sections: { ...before?.sections, [section]: run },
    results: [...kept, ...rows],
  };
}

function idOf({ section, case: name, metric, baseline }: Row): string {
  return [section, name, metric, baseline].join("\0");
}
