import { expect, test } from "vitest";
import { chooseNeighbours } from "./neighbours.ts";

const served = ["a", "b", "c", "d"].map((name) => ({ name, ...(name < "c" && { group: "attic" }) }));
const names = (group: string | undefined, position: number): string[] =>
  chooseNeighbours(group === undefined ? {} : { group }, position, served).map(({ name }) => name);

test("a host asks its own group first, then others, three at most", () => {
  expect(names("attic", 0)).toEqual(["a", "b", "c"]);
  expect(names("cellar", 0)).toEqual(["a", "b", "c"]);
  expect(chooseNeighbours({}, 5, [])).toEqual([]);
});

test("hosts of a wave begin with different neighbours", () => {
  expect([0, 1, 2, 3].map((position) => names(undefined, position)[0])).toEqual(["a", "b", "c", "d"]);
  expect(names("attic", 1)).toEqual(["b", "a", "d"]);
});
