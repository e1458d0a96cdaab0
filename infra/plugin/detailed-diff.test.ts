import { expect, test } from "vitest";
import { diffProps } from "./detailed-diff.ts";

test("equal properties have no difference, whatever their order", () => {
  expect(diffProps({ a: { x: 1, y: [1, 2] } }, { a: { y: [1, 2], x: 1 } })).toEqual({});
});

test("a difference is named as deep as it goes", () => {
  const old = { vars: { release: { settings: { context: 2048 } } }, files: [{ sha256: "a" }] };
  const next = {
    vars: { release: { settings: { context: 4096 } } },
    files: [{ sha256: "a" }, { sha256: "b" }],
  };
  expect(diffProps(old, next)).toEqual({
    "vars.release.settings.context": { kind: "update" },
    "files[1]": { kind: "add" },
  });
});

test("a property that came or went is an addition or a deletion, and its kind of replacement is kept", () => {
  expect(diffProps({ a: 1, b: 1 }, { b: 2, c: 1 }, ["b"])).toEqual({
    a: { kind: "delete" },
    b: { kind: "update", replace: true },
    c: { kind: "add" },
  });
});

test("keys that are no plain names are quoted as Pulumi reads them", () => {
  expect(diffProps({ vars: { "a.b": 1 } }, { vars: { "a.b": 2 } })).toEqual({
    'vars["a.b"]': { kind: "update" },
  });
});
