import { expect, test } from "vitest";
import { hasSecrets, hasUnknowns, isSecret, secret, unknown, unwrapSecrets } from "./values.ts";

test("secrets are found and unwrapped at any depth", () => {
  const value = { a: [secret("x")], b: { c: secret({ d: secret(1) }) } };
  expect(hasSecrets(value)).toBe(true);
  expect(isSecret(value)).toBe(false);
  expect(unwrapSecrets(value)).toEqual({ a: ["x"], b: { c: { d: 1 } } });
  expect(hasSecrets(unwrapSecrets(value))).toBe(false);
});

test("unknowns are found at any depth", () => {
  expect(hasUnknowns({ a: [{ b: unknown }] })).toBe(true);
  expect(hasUnknowns({ a: [{ b: "known" }], c: null })).toBe(false);
});
