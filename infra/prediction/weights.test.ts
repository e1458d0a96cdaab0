import { describe, expect, it } from "vitest";
import { llama8B, smolLM2 } from "./testing/shapes.ts";
import { areAlike, formatWeights, multipliedWeights } from "./weights.ts";

describe("multipliedWeights", () => {
  it("counts the matrices of layers and output, by type", () => {
    expect(multipliedWeights(smolLM2, { type: "Q8_0", imatrix: false })).toEqual({
      layers: 30,
      attentionWidth: 576,
      // A layer: 2 x 576 x 64 x (9 + 3) of attention and 3 x 576 x 1536 of FFN.
      blocks: { Q8_0: 30 * (2 * 576 * 64 * 12 + 3 * 576 * 1536) },
      output: { Q8_0: 49152 * 576 },
    });
  });

  it("leaves out an embedding that is not the output matrix", () => {
    const { output } = multipliedWeights(llama8B, { type: "Q4_K_M", imatrix: false });
    expect(output).toEqual({ Q6_K: 128256 * 4096 });
  });
});

describe("areAlike", () => {
  const weights = multipliedWeights(llama8B, { type: "Q4_K_M", imatrix: false });

  it("knows the same mix in any order", () => {
    const turned = Object.fromEntries(Object.entries(weights.blocks).reverse());
    expect(areAlike(weights, { ...weights, blocks: turned })).toBe(true);
    expect(formatWeights(turned)).toMatch(/^Q4_K=\d+ Q6_K=\d+$/);
  });

  it.each([
    ["another mix", multipliedWeights(llama8B, { type: "Q4_K_S", imatrix: false })],
    ["another output", { ...weights, output: { Q8_0: 128256 * 4096 } }],
    ["another number of layers", { ...weights, layers: 31 }],
    ["other heads", { ...weights, attentionWidth: 2048 }],
  ])("tells %s apart", (_, other) => {
    expect(areAlike(weights, other)).toBe(false);
  });
});
