import { formatTable } from "../../../common/plain-table.ts";
import type { Finding } from "./finding.ts";

/** How many of those that have the same finding are named. */
const NAMED = 4;

/** All findings in one table; what several have in common stands there once. */
export function formatFindings(findings: readonly Finding[]): string {
  const groups = new Map<string, { finding: Finding; places: string[] }>();
  for (const finding of findings) {
    const { level, where, what, remedy } = finding;
    const key = JSON.stringify([level, what, remedy]);
    const group = groups.get(key) ?? { finding, places: [] };
    group.places.push(where);
    groups.set(key, group);
  }
  const rows = [...groups.values()].map(({ finding: { level, what, remedy }, places }) => [
    namesOf(places),
    level,
    remedy === undefined ? what : `${what}\n→ ${remedy}`,
  ]);
  return formatTable(["", "", "found"], rows);
}

function namesOf(places: readonly string[]): string {
  const more = places.length - NAMED;
  return places.slice(0, NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
