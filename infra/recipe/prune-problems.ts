import type { Problem } from "../../common/user-error.ts";
import type { Recipe } from "./recipe.generated.ts";

/** The method whose costs say how wide each layer should be. */
export const perLayerMethod = "ffn-second-order";

/** What the schema cannot say in plain words of a recipe's pruning. */
export function pruneProblems({ prune }: Recipe["steps"], file: string): Problem[] {
  if (prune?.ffnWidths !== "per-layer" || prune.method === perLayerMethod) return [];
  return [
    {
      where: `${file}: steps.prune.ffnWidths`,
      what: `the method ${prune.method} does not say how wide each layer should be`,
      remedy: `take the method ${perLayerMethod}, or leave it out`,
    },
  ];
}
