import { expect, it } from "vitest";
import type { Manifest } from "../store/manifest.ts";
import { instanceFor, instancesNeeded } from "./instance-for.ts";
import type { StageName } from "./node.ts";

const stage = (name: string, isStored = false, params: Record<string, unknown> = {}) => ({
  stage: name as StageName,
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
])("%s runs on %s", (name, instance) => {
  expect(instanceFor(stage(name))).toBe(instance);
});

it("what begins with a folder of this machine runs on this machine", () => {
  expect(instanceFor(stage("fetch-gguf", false, { source: { huggingFace: {} } }))).toBeUndefined();
  const adapter = { source: { huggingFace: {} }, adapter: { local: { path: "/adapters/x" } } };
  expect(instanceFor(stage("fetch", false, adapter))).toBeUndefined();
  expect(instanceFor(stage("fetch", false, { source: { local: { path: "/models/x" } } }))).toBeUndefined();
});

it("a plan needs the instances of its missing stages alone", () => {
  const all = (stored: string[]) =>
    instancesNeeded(
      ["fetch", "prune", "convert", "report"].map((name) => stage(name, stored.includes(name))),
    );
  expect(all([])).toEqual(new Set(["gpu", "build"]));
  expect(all(["fetch", "prune"])).toEqual(new Set(["build"]));
  expect(all(["fetch", "convert", "report"])).toEqual(new Set(["gpu"]));
  expect(all(["fetch", "prune", "convert"])).toEqual(new Set());
});
