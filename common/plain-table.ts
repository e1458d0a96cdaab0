import Table from "cli-table3";

const borders =
  "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle";

/** Between two columns. */
const GAP = 2;
/** A last column that has less room than this is no prose, and stands below the others instead. */
const PROSE = 30;

/**
 * A table without borders, two spaces between columns: readable in a log as well as on a terminal.
 * @param right the columns that are set to the right, by their heads
 * @param width characters of a line. Where they are too few, the last column is wrapped; where that leaves it too
 * little room, the columns that do not fit stand on a second line, indented.
 * @default the terminal's width, and none where there is no terminal
 */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[] = [],
  width = process.stdout.isTTY ? process.stdout.columns : Infinity,
): string {
  const widths = head.map((_, column) =>
    Math.max(
      ...[head, ...rows].flatMap((row) => (row[column] ?? "").split("\n").map(({ length }) => length)),
    ),
  );
  const upTo = (count: number) => widths.slice(0, count).reduce((sum, own) => sum + own + GAP, 0);
  if (upTo(head.length) - GAP <= width) return linesOf(head, rows, right).join("\n");
  const left = width - upTo(head.length - 1);
  if (left >= PROSE) return linesOf(head, rows, right, [...widths.slice(0, -1), left]).join("\n");

  const fitting = Math.max(
    1,
    head.findIndex((_, column) => upTo(column + 1) - GAP > width),
  );
  const parts = [
    (row: readonly string[]) => row.slice(0, fitting),
    (row: readonly string[]) => row.slice(fitting),
  ];
  const [above = [], below = []] = parts.map((part) => linesOf(part(head), rows.map(part), right));
  const height = (row: readonly string[]) => Math.max(...row.map((cell) => cell.split("\n").length));
  return [head, ...rows]
    .flatMap((row) => [
      ...above.splice(0, height(row.slice(0, fitting))),
      ...below.splice(0, height(row.slice(fitting))).flatMap((line) => (line === "" ? [] : `  ${line}`)),
    ])
    .join("\n");
}

function linesOf(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly string[],
  widths?: readonly number[],
): string[] {
  const table = new Table({
    chars: Object.fromEntries(borders.split(" ").map((name) => [name, ""])),
    style: { "padding-left": 0, "padding-right": GAP, head: [], border: [] },
    head: [...head],
    colAligns: head.map((column) => (right.includes(column) ? "right" : "left")),
    ...(widths && { colWidths: widths.map((own) => own + GAP), wordWrap: true }),
  });
  table.push(...rows.map((row) => [...row]));
  // A line that is filled up with blanks would take two of a terminal's.
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd());
}
