import { describe, expect, it } from "vitest";
import { batchSeconds, columnCycles } from "./batch-cost.ts";
import { predictedSpeeds } from "./board-speeds.ts";
import { kernelCycles } from "./kernel-cycles.generated.ts";
import { llama8B } from "./testing/shapes.ts";
import { multipliedWeights } from "./weights.ts";
import type { QuantizeType } from "./quantize-types.ts";

const weights = (type: QuantizeType) => multipliedWeights(llama8B, { type, imatrix: false });
const relative = (type: QuantizeType, columns: number, cost: "asPrompts" | "asCounted" = "asPrompts") =>
  batchSeconds(weights(type), columns, cost) / batchSeconds(weights(type), 1, cost);

describe("columnCycles", () => {
  it("is what was counted of one column and of four", () => {
    const { prompt, generation } = kernelCycles.Q4_K ?? { prompt: NaN, generation: NaN };
    expect(columnCycles("Q4_K", 1)).toBeCloseTo(generation, 6);
    expect(columnCycles("Q4_K", 4)).toBeCloseTo(4 * prompt, 6);
  });

  it("unpacks once more from the fifth column on", () => {
    expect(columnCycles("IQ3_S", 5)).toBeCloseTo(columnCycles("IQ3_S", 4) + columnCycles("IQ3_S", 1), 6);
  });

  it("is upstream's for each column of a type without a kernel of ours", () => {
    expect(columnCycles("Q4_1", 3)).toBeCloseTo(3 * columnCycles("Q4_1", 1), 6);
  });
});

describe("batchSeconds", () => {
  it("of one token is what generation is predicted to take, where memory decides", () => {
    const { tokensPerSecond } = predictedSpeeds.generation(weights("Q4_K_M"));
    expect(batchSeconds(weights("Q4_K_M"), 1, "asPrompts")).toBeCloseTo(1 / tokensPerSecond, 6);
  });

  it("of a second token costs next to nothing where weights come from memory", () => {
    expect(relative("Q4_K_M", 2)).toBeLessThan(1.05);
    expect(relative("Q8_0", 3)).toBeLessThan(1.05);
  });

  it("grows with every column where arithmetic decides", () => {
    expect(relative("IQ3_M", 3)).toBeGreaterThan(1.3);
    expect(relative("Q4_K_M", 8)).toBeGreaterThan(2);
  });

  it("is less by the counted cycles alone than with what prompts cost beside them", () => {
    expect(relative("Q4_K_M", 6, "asCounted")).toBeLessThan(relative("Q4_K_M", 6));
  });
});
