import { describe, expect, it } from "vitest";
import type { Manifest } from "../store/manifest.ts";
import type { PlannedStage } from "../stage/planned.ts";
import { describePlan } from "./describe.ts";

const stage = (name: string, artifact?: Manifest): PlannedStage => ({
  name,
  stage: name,
  params: {},
  inputs: {},
  inputKeys: {},
  toolVersions: {},
  forRelease: true,
  key: "0123456789abcdef",
  artifact,
});

describe("describePlan", () => {
  const stages = [stage("fetch", {} as Manifest), stage("prune"), stage("evaluate")];

  it("says what will run, and about how long and how large that is", () => {
    const costs = new Map([
      ["fetch", { seconds: 1e6, bytes: 1e12 }],
      ["prune", { seconds: 3600, bytes: 13.4e9 }],
      ["evaluate", { seconds: 90, bytes: 0 }],
    ]);
    expect(describePlan(stages, costs).split("\n")).toEqual([
      "2 of 3 stages will run, about 1 h 01 min, 13.4 GB in all",
      "  fetch     0123456789ab  in the store",
      "  prune     0123456789ab  will run  about 1 h 00 min, 13.4 GB",
      "  evaluate  0123456789ab  will run  about 1 min 30 s",
    ]);
  });

  it("says no more than that where nothing can be predicted", () => {
    expect(describePlan(stages)).toMatch(/^2 of 3 stages will run\n/);
  });
});
