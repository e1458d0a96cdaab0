import Table from "cli-table3";

const borders =
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle";

/**
 * A table without borders, two spaces between columns: readable in a log as well as on a terminal.
 * @param right the columns that are set to the right, by their heads
 */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
): string {
  const table = new Table({
    chars: Object.fromEntries(borders.split(" ").map((name) => [name, ""])),
    style: { "padding-left": 0, "padding-right": 2, head: [], border: [] },
    head: [...head],
    colAligns: head.map((column) => (right.includes(column) ? "right" : "left")),
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString();
}
