import { describe, expect, it } from "vitest";
import { expectedLoss, leftByAwareness } from "../../infra/prediction/quality.ts";
import type { QuantizeType } from "../../infra/prediction/quantize-types.ts";
import { typeLoss } from "../../infra/prediction/type-losses.ts";
import { readResults } from "../results.ts";

const rows = readResults("recovery-types").flatMap((run) => run.rows);

describe("what prediction expects recovery that knows its type to leave", () => {
  it("is what was measured last", () => {
    const measured = rows.flatMap((row) => {
      const [name, bits] = /^([\d.]+) bits a weight, aware against unpruned$/.exec(row.case) ?? [];
      if (bits === undefined || row.ratio === undefined) return [];
      const error = rows.find((other) => other.case === name && other.metric === "kld_ratio_error");
      return [[Number(bits), row.ratio, error?.value ?? NaN]];
    });
    expect(leftByAwareness).toEqual(measured.sort(([a = 0], [b = 0]) => a - b));
  });
});

describe("what a type is expected to cost a small model", () => {
  const twin = rows.flatMap((row) => {
    const [, type] = /^(\w+), unpruned$/.exec(row.case) ?? [];
    return type !== undefined && row.metric === "kld" ? [{ type: type as QuantizeType, kld: row.value }] : [];
  });

  it("is as much more than the 8B's as was measured, and scatters by less than the error that is taken", () => {
    expect(twin.length).toBe(8);
    const logs = twin.map(({ type, kld }) => Math.log(kld / typeLoss(type, true).nats));
    const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
    const scatter = Math.sqrt(logs.reduce((sum, log) => sum + (log - mean) ** 2, 0) / (logs.length - 1));
    const small = {
      type: "IQ3_S",
      imatrix: true,
      aware: false,
      bitsPerWeight: 4,
      parameters: 134.5e6,
    } as const;
    expect(Math.exp(mean)).toBeCloseTo(expectedLoss(small).quantizing / typeLoss("IQ3_S", true).nats, 1);
    expect(scatter).toBeCloseTo(0.15, 2);
  });
});
