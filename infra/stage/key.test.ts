import { describe, expect, it } from "vitest";
import { stageKey, type StageIdentity } from "./key.ts";

const identity: StageIdentity = {
  stage: "quantize",
  params: { type: "Q4_K_M", imatrix: true },
  code: "c0de",
  tools: { "llama.cpp": "b1" },
  inputs: { model: "aa" },
};

describe("stageKey", () => {
  it("does not depend on the order in which parameters are written", () => {
    expect(stageKey({ ...identity, params: { imatrix: true, type: "Q4_K_M" } })).toBe(stageKey(identity));
  });

  it.each<[string, Partial<StageIdentity>]>([
    ["stage", { stage: "convert" }],
    ["parameters", { params: { type: "Q5_K_M", imatrix: true } }],
    ["code", { code: "c0d3" }],
    ["tool pins", { tools: { "llama.cpp": "b2" } }],
    ["upstream keys", { inputs: { model: "ab" } }],
  ])("changes with the %s", (_, change) => {
    expect(stageKey({ ...identity, ...change })).not.toBe(stageKey(identity));
  });

  it("is 64 hexadecimal digits", () => {
    expect(stageKey(identity)).toMatch(/^[0-9a-f]{64}$/);
  });
});
