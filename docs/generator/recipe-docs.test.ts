import { expect, test } from "vitest";
import { recipeKeys } from "./recipe-docs.ts";

const source = {
  type: "object",
  description: "A file.",
  required: ["path"],
  properties: { path: { type: "string", description: "Where it is." } },
};

test("references are followed, steps lose their prefix, and ranges are said", () => {
  const keys = recipeKeys({
    properties: {
      steps: {
        type: "object",
        properties: { prune: { $ref: "#/$defs/prune" } },
      },
    },
    $defs: {
      prune: {
        type: "object",
        description: "Cuts.",
        required: ["ratio"],
        properties: { ratio: { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 0.9 } },
      },
    },
  });
  expect(keys.map(({ path, type, required }) => [path, type, required])).toEqual([
    ["steps", "object", false],
    ["prune", "object", false],
    ["prune.ratio", "number, above 0, below 0.9", true],
  ]);
});

test("an object that stands in two places is described in the first", () => {
  const keys = recipeKeys({
    properties: { one: { $ref: "#/$defs/source" }, two: { $ref: "#/$defs/source" } },
    $defs: { source },
  });
  expect(keys.map(({ path, description }) => [path, description])).toEqual([
    ["one", "A file."],
    ["one.path", "Where it is."],
    ["two", "A file. As `one`."],
  ]);
});
