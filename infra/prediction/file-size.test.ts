import { describe, expect, it } from "vitest";
import { fileBytes } from "./file-size.ts";
import { prunedShape } from "./pruned-shape.ts";
import { llama8B, smolLM2 } from "./testing/shapes.ts";

/** How far a prediction may be from the file. */
const within = (predicted: number, file: number): number => Math.abs(predicted / file - 1);

describe("fileBytes", () => {
  it.each([
    ["F16", 270885888],
    // pruned by a tenth, as the recipe smollm2-135m does it
    ["F16 pruned", 244343808],
    ["Q4_K_M pruned", 96351296],
  ] as const)("is within 0.01 %% of the file that the recipe smollm2-135m made: %s", (what, file) => {
    const pruned = prunedShape(smolLM2, { method: "ffn-activation", pruningRatio: 0.1 });
    const type = what.startsWith("F16") ? "F16" : "Q4_K_M";
    expect(
      within(fileBytes(what.endsWith("pruned") ? pruned : smolLM2, { type, imatrix: true }), file),
    ).toBeLessThan(0.0001);
  });

  // Sizes in GB of published files of this model.
  it.each([
    ["Q8_0", "8.54"],
    ["Q6_K", "6.60"],
    ["Q5_K_M", "5.73"],
    ["Q4_K_M", "4.92"],
    ["Q4_K_S", "4.69"],
    ["IQ4_XS", "4.45"],
    ["Q3_K_L", "4.32"],
    ["Q3_K_M", "4.02"],
    ["IQ3_M", "3.78"],
    ["Q3_K_S", "3.66"],
    ["Q2_K", "3.18"],
    ["IQ2_M", "2.95"],
  ] as const)("gives Llama 3.1 8B the size it is published with: %s, %s GB", (type, gigabytes) => {
    expect((fileBytes(llama8B, { type, imatrix: true }) / 1e9).toFixed(2)).toBe(gigabytes);
  });
});
