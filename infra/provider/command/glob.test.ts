import { describe, expect, it } from "vitest";

import { globToRegExp } from "./glob.ts";

const matches = (glob: string, path: string) => globToRegExp(glob).test(path);

describe("a glob (github.com/gobwas/glob with '/' as separator)", () => {
  it.each([
    ["*.js", "a.js", true],
    ["*.js", "src/a.js", false],
    ["src/**.js", "src/a/b.js", true],
    ["**secret.*", "deep/down/secret.txt", true],
    ["a?c", "abc", true],
    ["a?c", "a/c", false],
    ["[a-c]x", "bx", true],
    ["[!a-c]x", "bx", false],
    ["{src,test}/*.ts", "test/a.ts", true],
    ["{src,test}/*.ts", "doc/a.ts", false],
    ["a\\*", "a*", true],
    ["a\\*", "ab", false],
    ["a+b.(c)", "a+b.(c)", true],
    ["a.c", "abc", false],
  ])("%s matches %s: %s", (glob, path, expected) => {
    expect(matches(glob, path)).toBe(expected);
  });

  it("that is not closed is an error", () => {
    expect(() => globToRegExp("[ab")).toThrow("'[' without ']'");
    expect(() => globToRegExp("{a,b")).toThrow("'{' without '}'");
  });
});
