import { describe, expect, it } from "vitest";
import { pruneOperations } from "./prune-operations.ts";
import { smolLM2 as before } from "./testing/shapes.ts";

const after = { ...before, ffnSize: 1280 };
const operations = (params: object): number =>
  pruneOperations({ method: "ffn-activation", calibrationTokens: 4096, ...params }, before, after);

describe("pruneOperations", () => {
  it("is more than the text takes on its way through the blocks, twice", () => {
    expect(operations({})).toBeGreaterThan(2 * 2 * 106.2e6 * 4096);
    expect(operations({})).toBeLessThan(3.5 * 2 * 106.2e6 * 4096);
  });

  it("does not depend on the vocabulary, whose matrices take no part", () => {
    const small = { ...before, vocabulary: 1000 };
    const params = { method: "ffn-activation", calibrationTokens: 4096 };
    expect(pruneOperations(params, small, { ...small, ffnSize: 1280 })).toBe(operations({}));
  });

  it("counts the refit and the search among channels, which more text makes no dearer", () => {
    const more = (params: object) => operations(params) - operations({});
    const search = { method: "ffn-second-order" };
    expect(more(search)).toBeGreaterThan(0);
    expect(more({ reconstruct: true })).toBeGreaterThan(0);
    const twice = { calibrationTokens: 8192 };
    expect(operations({ ...search, ...twice }) - operations(twice)).toBe(more(search));
  });
});
