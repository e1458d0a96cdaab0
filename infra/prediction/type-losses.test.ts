import { describe, expect, it } from "vitest";
import { startingTypes, type QuantizeType } from "./quantize-types.ts";
import { blockTypeLoss, interpolatedTypes, published, typeLoss } from "./type-losses.ts";

describe("typeLoss", () => {
  it("knows every type of llama-quantize, with the error of its figure", () => {
    for (const type of Object.keys(startingTypes) as QuantizeType[])
      for (const imatrix of [true, false]) {
        const { nats, error } = typeLoss(type, imatrix);
        const isPlain = ["F32", "F16", "BF16"].includes(type);
        expect([type, nats > 0, error > 0]).toEqual([type, !isPlain, !isPlain]);
        expect(error / (nats || 1)).toBeLessThan(interpolatedTypes.includes(type) ? 1.01 : 0.1);
      }
  });

  it("is as published, and larger without an importance matrix", () => {
    expect(typeLoss("Q2_K", true)).toEqual({ nats: 0.332223, error: 0.001572 });
    expect(typeLoss("Q2_K", false)).toEqual({ nats: 0.445132, error: 0.001835 });
    expect(typeLoss("Q6_K", true)).toEqual(typeLoss("Q6_K", false));
    // Nothing is published of it without one: 1.22 times, as the six types that have both.
    const without = typeLoss("IQ4_XS", false);
    expect(without.nats / 0.036334).toBeCloseTo(1.22, 2);
    expect(without.error / without.nats).toBeGreaterThan(0.05);
  });

  it("takes a type for experts as what a model without them gets", () => {
    expect(typeLoss("MXFP4_MOE", true)).toEqual(typeLoss("Q8_0", true));
  });

  it("puts the types that nothing is published of where their bits are, with an error as large", () => {
    for (const type of interpolatedTypes) {
      expect(published[type]).toBeUndefined();
      expect(typeLoss(type, true).error).toBe(typeLoss(type, true).nats);
    }
    const at = (type: QuantizeType): number => typeLoss(type, true).nats;
    expect(at("TQ2_0") / at("IQ2_XXS")).toBeCloseTo(1, 0); // the same bits
    expect(at("Q2_0")).toBeGreaterThan(at("IQ2_XS"));
    expect(at("Q2_0")).toBeLessThan(at("TQ2_0"));
    expect(at("TQ1_0")).toBeGreaterThan(at("IQ1_M"));
    expect(at("Q1_0")).toBeGreaterThan(at("IQ1_S"));
  });
});

describe("blockTypeLoss", () => {
  it("is that of the file type that is nearly all of it", () => {
    expect(blockTypeLoss("Q3_K", true)).toBe(typeLoss("Q3_K_S", true).nats);
    expect(blockTypeLoss("Q6_K", true)).toBe(typeLoss("Q6_K", true).nats);
    expect(blockTypeLoss("IQ3_S", true)).toBe(typeLoss("IQ3_S", true).nats);
    expect(blockTypeLoss("F16", true)).toBe(0);
  });
});
