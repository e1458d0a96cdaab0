import { describe, expect, it } from "vitest";
import { quantizeProblems } from "./quantize-problems.ts";
import type { Recipe } from "./recipe.generated.ts";

const problemsOf = (quantize: Record<string, unknown>, imatrix?: Record<string, unknown>): string[] =>
  quantizeProblems({ quantize, imatrix } as unknown as Recipe["steps"], "r.yaml").map(
    ({ where, what }) => `${where} ${what}`,
  );

describe("quantizeProblems", () => {
  it("has nothing to say of types that stand on their own", () => {
    expect(problemsOf({ type: "Q4_K_M", tensorTypes: { "blk\\.(0|29)\\.ffn_down": "Q6_K" } })).toEqual([]);
    expect(problemsOf({ objective: { maxFileSize: "1 B" } }, {})).toEqual([]);
  });

  it("asks for the importance matrix that a type or an objective needs", () => {
    expect(problemsOf({ type: "IQ2_XS" })).toEqual([
      "r.yaml: steps.quantize.type IQ2_XS needs an importance matrix",
    ]);
    expect(problemsOf({ objective: { maxFileSize: "1 B" } })).toEqual([
      "r.yaml: steps.quantize.objective the search needs an importance matrix",
    ]);
  });

  it("names every pattern that matches no tensor, and types that full precision would pass over", () => {
    expect(problemsOf({ type: "F16", tensorTypes: { ffn_middle: "Q8_0", attn: "Q8_0" } })).toEqual([
      "r.yaml: steps.quantize.type F16 takes no types for single tensors",
      "r.yaml: steps.quantize.tensorTypes.ffn_middle matches no tensor of a Llama",
    ]);
  });

  it("says what keeps recovery from knowing the weights of the release", () => {
    const aware = (recover: object, more: object) =>
      quantizeProblems(
        {
          ...{ quantize: { type: "Q4_0" }, ...more },
          recover: { fullLayers: 0, lmHead: false, quantizationAware: true, ...recover },
        } as unknown as Recipe["steps"],
        "r.yaml",
      ).map(({ where, what }) => `${where} ${what}`);
    const where = "r.yaml: steps.recover.quantizationAware";
    expect(aware({}, {})).toEqual([]);
    expect(aware({}, { quantize: { type: "BF16" } })).toEqual([`${where} BF16 rounds nothing`]);
    expect(aware({}, { quantize: { objective: {} }, imatrix: {} })).toEqual([
      `${where} needs a type to train for, and an objective finds one only afterwards`,
    ]);
    expect(aware({ fullLayers: 1 }, { awq: {} })).toEqual([
      `${where} awq would rescale what was trained`,
      `${where} trains adapters only`,
    ]);
    expect(aware({ lmHead: true }, {})).toEqual([`${where} trains adapters only`]);
    expect(aware({ lmHead: true, quantizationAware: false }, { awq: {} })).toEqual([]);
  });
});
