import { expect, test } from "vitest";
import { parseRange } from "./range.ts";

test.each([
  ["bytes=0-3", { start: 0, end: 3 }],
  ["bytes=4-", { start: 4, end: 9 }],
  ["bytes=4-99", { start: 4, end: 9 }],
  ["bytes=-3", { start: 7, end: 9 }],
  ["bytes=-99", { start: 0, end: 9 }],
])("%s of ten bytes is a part", (header, part) => {
  expect(parseRange(header, 10)).toEqual(part);
});

test.each(["bytes=10-", "bytes=-0"])("%s of ten bytes cannot be satisfied", (header) => {
  expect(parseRange(header, 10)).toBe("unsatisfiable");
});

test.each([undefined, "", "bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=0-1", "bytes=a-b"])(
  "%s asks for the whole",
  (header) => {
    expect(parseRange(header, 10)).toBeUndefined();
  },
);
