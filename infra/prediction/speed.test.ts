import { describe, expect, it } from "vitest";
import { prunedShape } from "./pruned-shape.ts";
import type { QuantizeType } from "./quantize-types.ts";
import { tokensPerSecond } from "./speed.ts";
import { llama8B } from "./testing/shapes.ts";

const speed = (type: QuantizeType, shape = llama8B): number =>
  tokensPerSecond(shape, { type, imatrix: true });

describe("tokensPerSecond", () => {
  it("agrees with what was published of Llama 3 8B on a Pi 4", () => {
    expect(speed("Q4_0")).toBeGreaterThan(0.73);
    expect(speed("Q4_0")).toBeLessThan(0.79);
    expect(speed("Q2_K")).toBeGreaterThan(0.8);
    expect(speed("Q2_K")).toBeLessThan(0.87);
  });

  it("knows that 3-bit types are slower there than 4-bit ones", () => {
    expect(speed("Q3_K_M")).toBeLessThan(speed("Q4_K_M"));
    expect(speed("IQ3_M")).toBeLessThan(speed("Q3_K_M"));
  });

  it("gives a pruned model in 4 bits the lead over the unpruned one of its size in 3", () => {
    const pruned = prunedShape(llama8B, { method: "ffn-activation", pruningRatio: 0.16 });
    expect(speed("Q4_K_S", pruned) / speed("Q3_K_M")).toBeGreaterThan(1.35);
  });
});
