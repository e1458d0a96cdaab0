import { describe, expect, it } from "vitest";
import { prunedShape } from "./pruned-shape.ts";
import { parameterCount } from "./shape.ts";
import { llama8B, smolLM2 } from "./testing/shapes.ts";

const prune = (method: string, pruningRatio: number, shape = llama8B) =>
  prunedShape(shape, { method, pruningRatio });

describe("prunedShape", () => {
  it("knows how many parameters the models have", () => {
    expect(parameterCount(smolLM2)).toBe(134515008);
    expect(parameterCount(llama8B)).toBe(8030261248);
  });

  it("narrows the FFN to the width that the stage took", () => {
    const pruned = prune("ffn-activation", 0.1, smolLM2);
    expect(pruned.ffnSize).toBe(1280);
    expect(parameterCount(pruned)).toBe(121243968);
  });

  it("takes a multiple of 256 where one is near, else of 32", () => {
    expect(prune("ffn-activation", 0.16).ffnSize).toBe(11008);
    expect(prune("ffn-activation", 0.05, smolLM2).ffnSize).toBe(1408);
  });

  it("drops whole blocks, or whole groups of heads", () => {
    expect(prune("block-influence", 0.1)).toEqual({ ...llama8B, layers: 28 });
    expect(prune("attention-groups", 0.083)).toEqual({ ...llama8B, heads: 16, kvHeads: 4 });
  });

  it("refuses what leaves no model, and numbers of heads that would not load", () => {
    expect(() => prune("ffn-activation", 0.8)).toThrow(
      "removing 80 % of the parameters would mean an FFN width of",
    );
    expect(() => prune("block-influence", 0.84)).toThrow("dropping 31 of 32 blocks");
    // 28 heads do not divide a hidden size of 4096
    expect(() => prune("attention-groups", 0.021)).toThrow("no whole number of the 8 key-value heads");
  });
});
