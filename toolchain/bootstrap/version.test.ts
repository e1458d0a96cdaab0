import { describe, expect, it } from "vitest";
import { parseVersion, suits } from "./version.ts";

describe("suits", () => {
  it.each([
    ["v3.250.0", "3.200.0", true],
    ["3.200.0", "3.200.0", true],
    ["3.199.9", "3.200.0", false],
    ["3.1000.0", "3.200.0", true],
    ["4.0.0", "3.200.0", false],
    ["go version go1.26 linux/amd64", "1.25.11", true],
    ["go version go1.25.3 linux/amd64", "1.25.11", false],
    ["v3.250.1-dev.0+dirty", "3.250.0", true],
    ["unknown", "3.200.0", false],
  ])("%s against %s is %s", (version, minimum, expected) => {
    expect(suits(version, minimum)).toBe(expected);
  });

  it("takes a newer major version only when asked to", () => {
    expect(suits("uv 1.0.0", "0.8.0")).toBe(false);
    expect(suits("uv 1.0.0", "0.8.0", { anyMajor: true })).toBe(true);
  });
});

describe("parseVersion", () => {
  it("finds the first version in a sentence", () => {
    expect(parseVersion("uv 0.13.9 (x86_64-unknown-linux-gnu)")).toEqual([0, 13, 9]);
  });

  it("returns undefined where there is none", () => {
    expect(parseVersion("no version here")).toBeUndefined();
  });
});
