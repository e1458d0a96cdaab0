import { describe, expect, it } from "vitest";
import { longestAnswer } from "./answer-time.ts";
import type { StageNode } from "../stage/node.ts";
import type { QuantizeType } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";
import { promptTokensPerSecond } from "./speed.ts";
import { llama8B, smolLM2 } from "./testing/shapes.ts";

const llama1B: ModelShape = {
  ...{ layers: 16, hiddenSize: 2048, ffnSize: 8192, heads: 32, kvHeads: 8, headDim: 64 },
  ...{ vocabulary: 128256, tied: true, tokenizerBytes: 7.4e6 },
};

describe("promptTokensPerSecond", () => {
  // pp512 of llama-bench on a Raspberry Pi 4B, four threads, Llama-3.2-1B.
  it.each<[QuantizeType, number]>([
    ["Q4_0", 11.346],
    ["Q4_K_S", 12.4],
    ["Q4_K_M", 11.857],
    ["Q3_K_M", 9.719],
    ["IQ3_M", 5.21],
    ["Q6_K", 8.971],
    ["Q8_0", 11.8],
  ])("is no more than was measured of %s, nor less than a third of it", (type, measured) => {
    const speed = promptTokensPerSecond(llama1B, { type, imatrix: true });
    expect(speed).toBeLessThan(measured);
    expect(speed).toBeGreaterThan(measured / 3);
  });
});

describe("longestAnswer", () => {
  const stages: StageNode[] = [
    { name: "fetch", stage: "fetch", params: {}, inputs: {} },
    { name: "quantize", stage: "quantize", params: { type: "Q4_0" }, inputs: { model: "fetch" } },
  ];
  const seconds = (shape: ModelShape, contextLength: number): number =>
    longestAnswer({ metrics: { ...shape } }, stages, { contextLength });

  it("covers the whole context as an answer at the speed of a board, twice over", () => {
    // 0.73 tokens a second were measured of Llama 3 8B in Q4_0.
    expect(seconds(llama8B, 4096)).toBeGreaterThan(4096 / 0.73);
    expect(seconds(llama8B, 4096)).toBeLessThan((3 * 4096) / 0.73);
    expect(seconds(llama8B, 8192) / seconds(llama8B, 4096)).toBeCloseTo(2, 1);
  });

  it("is a quarter of an hour at the least, in steps that small changes do not move", () => {
    expect(seconds(smolLM2, 512)).toBe(900);
    expect(seconds(llama8B, 4096) % 300).toBe(0);
  });
});
