import { describe, expect, it } from "vitest";
import { awqOperations } from "./awq-operations.ts";
import { shapeOfConfig } from "./shape.ts";

const config = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
};
const params = { calibrationTokens: 2048, gridPoints: 20 };

describe("awqOperations", () => {
  it("grow with the text and with the exponents tried", () => {
    const shape = shapeOfConfig(config);
    const twice = awqOperations({ ...params, calibrationTokens: 4096 }, shape);
    expect(twice / awqOperations(params, shape)).toBe(2);
    expect(awqOperations({ ...params, gridPoints: 40 }, shape) / awqOperations(params, shape)).toBeCloseTo(
      2,
      1,
    );
  });

  it("count the output of attention only where no value feeds several heads", () => {
    const grouped = shapeOfConfig(config);
    const single = shapeOfConfig({ ...config, num_key_value_heads: 32 });
    const perLayer = (shape: typeof grouped) =>
      (awqOperations(params, shape) - awqOperations({ ...params, gridPoints: 0 }, shape)) /
      (2 * 2048 * 20 * 32);
    expect(perLayer(grouped)).toBe(2 * 4096 * 128 * 40 + 4 * 4096 * 14336);
    expect(perLayer(single)).toBe(5 * 4096 * 4096 + 4 * 4096 * 14336);
  });
});
