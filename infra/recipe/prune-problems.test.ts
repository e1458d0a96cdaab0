import { describe, expect, it } from "vitest";
import { pruneProblems } from "./prune-problems.ts";
import type { Recipe } from "./recipe.generated.ts";

const problemsOf = (prune?: object): string[] =>
  pruneProblems({ prune } as unknown as Recipe["steps"], "r.yaml").map(
    ({ where, what, remedy }) => `${where} ${what}: ${remedy}`,
  );

describe("pruneProblems", () => {
  it("has nothing to say without pruning, of uniform widths, and of the method that says them", () => {
    expect(problemsOf()).toEqual([]);
    expect(problemsOf({ method: "mixed", ffnWidths: "uniform" })).toEqual([]);
    expect(problemsOf({ method: "ffn-second-order", ffnWidths: "per-layer" })).toEqual([]);
  });

  it("refuses widths of single layers from methods that do not say them", () => {
    expect(problemsOf({ method: "mixed", ffnWidths: "per-layer" })).toEqual([
      "r.yaml: steps.prune.ffnWidths the method mixed does not say how wide each layer should be: take the method ffn-second-order, or leave it out",
    ]);
  });
});
