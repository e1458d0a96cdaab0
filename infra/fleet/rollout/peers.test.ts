import { expect, test } from "vitest";
import { choosePeers } from "./peers.ts";

const served = ["a", "b", "c", "d"].map((name) => ({ name, ...(name < "c" && { group: "attic" }) }));
const names = (group: string | undefined, index: number): string[] =>
  choosePeers(group === undefined ? {} : { group }, index, served).map(({ name }) => name);

test("a host asks its own group first, then others, three at most", () => {
  expect(names("attic", 0)).toEqual(["a", "b", "c"]);
  expect(names("cellar", 0)).toEqual(["a", "b", "c"]);
  expect(choosePeers({}, 5, [])).toEqual([]);
});

test("hosts of a wave begin with different peers", () => {
  expect([0, 1, 2, 3].map((index) => names(undefined, index)[0])).toEqual(["a", "b", "c", "d"]);
  expect(names("attic", 1)).toEqual(["b", "a", "d"]);
});

test("a host without a group has none in common with others that have none", () => {
  expect(names(undefined, 0)).toEqual(["a", "b", "c"]);
  expect(choosePeers({}, 2, served.slice(2)).map(({ name }) => name)).toEqual(["c", "d"]);
});
