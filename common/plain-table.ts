/** Options of a cli-table3 table without borders, two spaces between columns: readable in a log as well as on a terminal. */
export const plainTable = {
  chars: Object.fromEntries(
    "top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right left left-mid mid mid-mid right right-mid middle"
      .split(" ")
      .map((name) => [name, ""]),
  ),
  style: { "padding-left": 0, "padding-right": 2, head: [], border: [] },
};
