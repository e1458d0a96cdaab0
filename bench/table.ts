import Table from "cli-table3";

/** A table for a terminal. @param aligns `l` or `r` for each column */
export function table(head: string[], aligns: string, rows: readonly string[][]): string {
  const colAligns = [...aligns].map((letter) => (letter === "r" ? "right" : "left"));
  const drawn = new Table({ head, colAligns, style: { head: [], border: [] } });
  drawn.push(...rows);
  return drawn.toString();
}
