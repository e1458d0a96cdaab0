import { expect, it } from "vitest";
import type { Manifest } from "../../store/manifest.ts";
import { boxesNeeded, boxOf } from "./box-of.ts";

const stage = (name: string, isStored = false, params: Record<string, unknown> = {}) => ({
  stage: name,
  params,
  artifact: isStored ? ({} as Manifest) : undefined,
});

it.each([
  ["prune", "gpu"],
  ["recover", "gpu"],
  ["awq", "gpu"],
  ["convert", "build"],
  ["imatrix", "build"],
  ["quantize", "build"],
  ["baseline", "build"],
  ["evaluate", "build"],
  ["fetch", "build"],
  ["fetch-dataset", undefined],
  ["report", undefined],
])("%s runs on %s", (name, box) => {
  expect(boxOf(stage(name))).toBe(box);
});

it("what begins with a folder of this machine runs on this machine", () => {
  expect(boxOf(stage("fetch", false, { source: { local: { path: "/models/x" } } }))).toBeUndefined();
});

it("a plan needs the boxes of its missing stages alone", () => {
  const all = (stored: string[]) =>
    boxesNeeded(["fetch", "prune", "convert", "report"].map((name) => stage(name, stored.includes(name))));
  expect(all([])).toEqual(new Set(["gpu", "build"]));
  expect(all(["fetch", "prune"])).toEqual(new Set(["build"]));
  expect(all(["fetch", "convert", "report"])).toEqual(new Set(["gpu"]));
  expect(all(["fetch", "prune", "convert"])).toEqual(new Set());
});
