import { expect, test } from "vitest";
import { hasUnknowns, unknown } from "./values.ts";

test("unknowns are found at any depth", () => {
  expect(hasUnknowns({ a: [{ b: unknown }] })).toBe(true);
  expect(hasUnknowns({ a: [{ b: "known" }], c: null })).toBe(false);
});

test("a number that another provider cannot tell yet is unknown as well", () => {
  expect(hasUnknowns({ port: "3eeb2bf0-c639-47a8-9e75-3b44932eb421" })).toBe(true);
});
