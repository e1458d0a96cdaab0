import { describe, expect, it } from "vitest";
import { longestAnswer } from "./answer-time.ts";
import { predictedSpeeds, type TokenSpeed } from "./board-speeds.ts";
import type { StageNode } from "../stage/node.ts";
import { predictFrom } from "./predict.ts";
import type { ModelShape } from "./shape.ts";
import { llama8B, smolLM2 } from "./testing/shapes.ts";
import type { MultipliedWeights } from "./weights.ts";

describe("longestAnswer", () => {
  const stages: StageNode[] = [
    { name: "fetch", stage: "fetch", params: {}, inputs: {} },
    { name: "quantize", stage: "quantize", params: { type: "Q4_0" }, inputs: { model: "fetch" } },
  ];
  const seconds = (shape: ModelShape, contextLength: number): number =>
    longestAnswer(predictFrom(shape, stages, { contextLength }), { contextLength });

  it("covers the whole context as an answer at the speed of a board, twice over", () => {
    // 0.73 tokens a second were measured of Llama 3 8B in Q4_0.
    expect(seconds(llama8B, 4096)).toBeGreaterThan(4096 / 0.73);
    expect(seconds(llama8B, 4096)).toBeLessThan((3 * 4096) / 0.73);
    expect(seconds(llama8B, 8192) / seconds(llama8B, 4096)).toBeCloseTo(2, 1);
  });

  it("follows boards that were measured", () => {
    const half = (weights: MultipliedWeights): TokenSpeed => {
      const { tokensPerSecond, basis } = predictedSpeeds.generation(weights);
      return { tokensPerSecond: tokensPerSecond / 2, basis };
    };
    const server = { contextLength: 4096 };
    const boards = { generation: half, prompt: half };
    const slow = longestAnswer(predictFrom(llama8B, stages, server, undefined, boards), server);
    expect(slow / seconds(llama8B, 4096)).toBeCloseTo(2, 1);
  });

  it("is a quarter of an hour at the least, in steps that small changes do not move", () => {
    expect(seconds(smolLM2, 512)).toBe(900);
    expect(seconds(llama8B, 4096) % 300).toBe(0);
  });
});
