import { describe, expect, it } from "vitest";
import { stageCost, type Speed } from "./stage-costs.ts";
import { llama8B } from "./testing/shapes.ts";

const seconds = (stage: string, params: Record<string, unknown>, speed: Speed): number =>
  stageCost({ stage, params, before: llama8B, after: llama8B, quantization: undefined }, speed).seconds;

describe("stageCost", () => {
  const gpu = { cores: 8, flops: 1e14 };
  const recover = { tokens: 1e6, epochs: 1, validations: 5, refreshes: 8 };

  it("counts each time that recovery quantizes all weights once, also where a look and a refresh fall together", () => {
    const once = seconds("quantize", {}, gpu) - seconds("quantize", {}, { ...gpu, cores: 1e9 });
    const quantizing = (changes: object): number => {
      const params = { ...recover, ...changes };
      return (seconds("recover", { ...params, quantize: {} }, gpu) - seconds("recover", params, gpu)) / once;
    };
    expect(quantizing({})).toBeCloseTo(9); // at every eighth, and at the end: the looks are at quarters
    expect(quantizing({ validations: 11, refreshes: 10 })).toBeCloseTo(11);
    expect(quantizing({ validations: 2, refreshes: 1 })).toBeCloseTo(2);
    expect(quantizing({ validations: 4, refreshes: 2 })).toBeCloseTo(5);
  });

  it("counts the tokens of a system prompt, and what they take in the cache", () => {
    const params = { prompt: "four".repeat(400) };
    const cost = stageCost(
      { stage: "system-prompt", params, before: llama8B, after: llama8B, quantization: undefined },
      { cores: 2 },
    );
    expect(cost.bytes).toBe(400 * 128 * 1024);
    expect(cost.seconds).toBeGreaterThan(seconds("system-prompt", { prompt: "four" }, { cores: 2 }));
  });

  it("counts a GPU's answers by how often a token is drawn, not by their operations", () => {
    const answers = (tokens: number, speed: Speed): number =>
      seconds("add-chats", { tokens }, speed) - seconds("add-chats", { tokens: 0 }, speed);
    expect(answers(1024, gpu)).toBe(answers(20_000, gpu));
    expect(answers(1 << 20, gpu)).toBeCloseTo(41 * 160 * 0.06);
    expect(answers(2048, { cores: 2 }) / answers(1024, { cores: 2 })).toBeCloseTo(2);
  });
});
