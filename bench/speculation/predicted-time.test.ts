import { describe, expect, it } from "vitest";
import { batchSeconds } from "../../infra/prediction/batch-cost.ts";
import { multipliedWeights } from "../../infra/prediction/weights.ts";
import { llama8B } from "../../infra/prediction/testing/shapes.ts";
import { draftedSpeed } from "./draft-model.ts";
import { plainBatches, predictedTime } from "./predicted-time.ts";

const model = multipliedWeights(llama8B, { type: "Q4_K_M", imatrix: false });
const one = batchSeconds(model, 1, "asPrompts");
const three = batchSeconds(model, 3, "asPrompts");
const answer = (tokens: number, ...accepted: number[]) => ({
  text: "",
  tokens,
  checks: accepted.map((count) => ({ drafted: 2, accepted: count })),
});

describe("predictedTime", () => {
  it("is that of one token after the other where nothing is drafted", () => {
    expect(predictedTime([answer(11), answer(21)], model, "asPrompts")).toMatchObject({
      speedup: 1,
      error: 0,
    });
  });

  it("counts a check as one batch of what was drafted and the token before it", () => {
    // The first token is the prompt's; three and one come of checks, six one by one.
    const { seconds, secondsWithout } = predictedTime([answer(11, 2, 0)], model, "asPrompts");
    expect(seconds).toBeCloseTo(6 * one + 2 * three, 6);
    expect(secondsWithout).toBeCloseTo(10 * one, 6);
  });

  it("is slower where nothing that was drafted is accepted", () => {
    const { speedup } = predictedTime([answer(11, 0, 0, 0), answer(11, 0)], model, "asPrompts");
    expect(speedup).toBeLessThan(1);
  });
});

it("an answer that ends within what was accepted has no plain batch too few", () => {
  expect(plainBatches(answer(3, 2))).toBe(0);
});

describe("a draft model", () => {
  const free = multipliedWeights(
    { ...llama8B, layers: 1, vocabulary: 256 },
    { type: "Q4_K_M", imatrix: false },
  );

  it("gains nothing where nothing is accepted", () => {
    expect(draftedSpeed(model, free, 1, 0, "asPrompts")).toBeLessThan(1 / one);
  });

  it("gains the more the more is accepted", () => {
    const speeds = [0.5, 0.7, 0.9].map((accepted) => draftedSpeed(model, free, 2, accepted, "asPrompts"));
    expect(speeds).toEqual([...speeds].sort((a, b) => a - b));
    expect(speeds[2]).toBeGreaterThan(2 / one);
  });
});
