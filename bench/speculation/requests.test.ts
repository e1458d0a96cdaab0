import { expect, test } from "vitest";
import { kinds, readRequests } from "./requests.ts";

test("there are ten requests of each kind", () => {
  const requests = readRequests();
  expect(kinds.map((kind) => requests[kind].length)).toEqual([10, 10, 10, 10]);
});
