import { describe, expect, it } from "vitest";

import { equal, isUnknown, makeAsset, makeSecret, reveal, unknown } from "./values.ts";

describe("values", () => {
  it("lay their secrets open at any depth, and keep assets whole", () => {
    const asset = makeAsset({ path: "/x", hash: "1" });
    const value = makeSecret({ list: [makeSecret("a"), { deep: makeSecret(1) }], asset });
    expect(reveal(value)).toEqual({ list: ["a", { deep: 1 }], asset });
  });

  it("are unknown by their mark only", () => {
    expect(isUnknown(unknown)).toBe(true);
    expect(isUnknown("")).toBe(false);
    expect(isUnknown(makeSecret(unknown))).toBe(false);
  });

  it("are equal by content, and a secret is not equal to what it hides", () => {
    expect(equal({ a: [1, null] }, { a: [1, null] })).toBe(true);
    expect(equal([1], [1, 2])).toBe(false);
    expect(equal(makeSecret("x"), makeSecret("x"))).toBe(true);
    expect(equal(makeSecret("x"), "x")).toBe(false);
    expect(equal(makeAsset({ path: "/a", hash: "1" }), makeAsset({ path: "/b", hash: "1" }))).toBe(true);
  });
});
