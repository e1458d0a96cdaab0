import { describe, expect, it } from "vitest";
import { sum, tensorBytes } from "./file-size.ts";
import { typesOf, type Quantization } from "./quantize-types.ts";
import { llama8B, oddRows, smolLM2 } from "./testing/shapes.ts";
import type { ModelShape } from "./shape.ts";

const mebibytes = (shape: ModelShape, quantization: Quantization): string =>
  (sum(typesOf(shape, quantization).map(([tensor, type]) => tensorBytes(tensor, type))) / 2 ** 20).toFixed(2);

const typeOf = (shape: ModelShape, quantization: Quantization, name: string): string | undefined =>
  typesOf(shape, quantization).find(([tensor]) => tensor.name === name)?.[1];

// `quant size` of `llama-quantize --dry-run` (b11434) on files of these shapes, in MiB.
const dryRun: [QuantizeCase, string, string, string][] = [
  [["F32", "plain"], "513.13", "30633.02", "4.18"],
  [["F16", "plain"], "256.63", "15317.02", "2.09"],
  [["BF16", "plain"], "256.63", "15317.02", "2.09"],
  [["Q8_0", "plain"], "136.40", "8137.64", "1.33"],
  [["Q6_K", "plain"], "130.27", "6282.97", "1.33"],
  [["Q5_K_M", "plain"], "105.21", "5459.93", "1.09"],
  [["Q5_K_S", "plain"], "103.18", "5332.43", "1.08"],
  [["Q5_1", "plain"], "104.76", "5779.74", "1.08"],
  [["Q5_0", "plain"], "98.43", "5332.43", "1.03"],
  [["Q5_0", "imatrix"], "98.59", "5346.43", "1.03"],
  [["Q4_K_M", "plain"], "98.87", "4685.30", "1.05"],
  [["Q4_K_S", "plain"], "95.61", "4467.80", "1.03"],
  [["Q4_1", "plain"], "92.10", "4885.12", "0.98"],
  [["Q4_0", "plain"], "85.77", "4437.80", "0.93"],
  [["Q4_0", "imatrix"], "85.93", "4451.80", "0.93"],
  [["IQ4_NL", "plain"], "86.09", "4481.80", "0.93"],
  [["IQ4_NL", "imatrix"], "85.77", "4453.80", "0.93"],
  [["IQ4_XS", "plain"], "85.38", "4269.15", "0.93"],
  [["IQ4_XS", "imatrix"], "84.98", "4234.15", "0.93"],
  [["Q3_K_L", "plain"], "91.31", "4114.27", "0.96"],
  [["Q3_K_M", "plain"], "87.48", "3825.27", "0.95"],
  [["Q3_K_S", "plain"], "82.41", "3487.27", "0.93"],
  [["IQ3_M", "plain"], "84.33", "3602.02", "0.95"],
  [["IQ3_S", "plain"], "82.41", "3504.27", "0.93"],
  [["IQ3_XS", "plain"], "82.41", "3348.27", "0.93"],
  [["IQ3_XXS", "plain"], "82.75", "3229.48", "0.93"],
  [["IQ3_XXS", "imatrix"], "81.23", "3115.73", "0.93"],
  [["Q2_K", "plain"], "82.41", "3024.38", "0.93"],
  [["Q2_K_S", "plain"], "80.44", "2842.88", "0.93"],
  [["IQ2_M", "plain"], "79.92", "2804.23", "0.93"],
  [["IQ2_S", "plain"], "79.21", "2623.23", "0.93"],
  [["IQ2_XS", "plain"], "78.95", "2477.59", "0.93"],
  [["IQ2_XXS", "plain"], "78.24", "2280.59", "0.93"],
  [["IQ1_M", "plain"], "77.35", "2054.34", "0.93"],
  [["IQ1_S", "plain"], "76.82", "1918.59", "0.93"],
  [["TQ2_0", "plain"], "78.06", "2409.80", "0.93"],
  [["TQ1_0", "plain"], "76.88", "2097.80", "0.93"],
];
type QuantizeCase = [Quantization["type"], "plain" | "imatrix"];

describe("typesOf", () => {
  it.each(dryRun)(
    "gives the tensors of %s the size that llama-quantize gives them",
    ([type, how], ...sizes) => {
      const quantization = { type, imatrix: how === "imatrix" };
      expect([smolLM2, llama8B, oddRows].map((shape) => mebibytes(shape, quantization))).toEqual(sizes);
    },
  );

  it("lets an override decide, and does not count that tensor among those it chooses for", () => {
    const quantization: Quantization = {
      type: "Q4_K_M",
      imatrix: true,
      overrides: [["blk\\.0\\.attn_v", "Q8_0"]],
    };
    expect(typeOf(llama8B, quantization, "blk.0.attn_v.weight")).toBe("Q8_0");
    // Without it, blocks 0 to 3 are the first eighth; now they are 1 to 4.
    expect(typeOf(llama8B, quantization, "blk.4.attn_v.weight")).toBe("Q6_K");
    expect(typeOf(llama8B, { type: "Q4_K_M", imatrix: true }, "blk.4.attn_v.weight")).toBe("Q4_K");
  });

  it("gives output and embedding the types that are asked for", () => {
    const quantization: Quantization = {
      type: "Q4_K_S",
      imatrix: false,
      outputType: "Q8_0",
      embeddingType: "Q2_K",
    };
    expect(typeOf(llama8B, quantization, "output.weight")).toBe("Q8_0");
    expect(typeOf(llama8B, quantization, "token_embd.weight")).toBe("Q2_K");
  });
});
