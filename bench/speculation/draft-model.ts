import { readCatalogue } from "../../infra/model/catalogue.ts";
import { batchSeconds, type ColumnCost } from "../../infra/prediction/batch-cost.ts";
import type { QuantizeType } from "../../infra/prediction/quantize-types.ts";
import { shapeOfConfig } from "../../infra/prediction/shape.ts";
import { multipliedWeights, type MultipliedWeights } from "../../infra/prediction/weights.ts";
import { rowsOf, type Row } from "../rows.ts";

/** Models of the catalogue, and smaller ones of their families that could draft for them. */
const PAIRS = [
  ["llama-3.1-8b", "llama-3.2-1b"],
  ["llama-3.2-3b", "llama-3.2-1b"],
  ["qwen2.5-3b", "qwen2.5-0.5b"],
  ["qwen2.5-1.5b", "qwen2.5-0.5b"],
  ["qwen3-4b", "qwen3-0.6b"],
  ["gemma-3-4b", "gemma-3-1b"],
  ["smollm2-1.7b", "smollm2-135m"],
] as const;

/** Shares of drafted tokens that the larger model would have chosen too: assumed, nobody has measured these pairs here. */
const ACCEPTED = [0.5, 0.6, 0.7, 0.8];
/** Most tokens drafted at a time. */
const LONGEST = 6;

/** What a draft model is predicted to make of a pair's speed, with drafts as long as pays best. */
export function draftModelRows(): Row[] {
  return PAIRS.flatMap(([target, draft]) =>
    ACCEPTED.flatMap((accepted) =>
      (["asPrompts", "asCounted"] as const).flatMap((cost) => {
        const [model, drafter] = [catalogued(target), catalogued(draft)];
        const lengths = Array.from({ length: LONGEST }, (_, index) => index + 1);
        const speeds = lengths.map((length) => draftedSpeed(model, drafter, length, accepted, cost));
        const tokens_per_second = Math.max(...speeds);
        const without = { tokens_per_second: 1 / batchSeconds(model, 1, cost) };
        return rowsOf(
          `${target} with ${draft}, ${String(100 * accepted)} % accepted, ${cost}`,
          { tokens_per_second, draft_tokens: speeds.indexOf(tokens_per_second) + 1 },
          { name: "without", figures: without },
        );
      }),
    ),
  );
}

/**
 * Tokens per second where a smaller model drafts `length` tokens one by one and a batch checks them: on average one, and as
 * many as are accepted before the first that is not (Leviathan, Kalman and Matias, arXiv:2211.17192, equation 1).
 */
export function draftedSpeed(
  model: MultipliedWeights,
  drafter: MultipliedWeights,
  length: number,
  accepted: number,
  cost: ColumnCost,
): number {
  const tokens = (1 - accepted ** (length + 1)) / (1 - accepted);
  return tokens / (length * batchSeconds(drafter, 1, cost) + batchSeconds(model, length + 1, cost));
}

function catalogued(name: string): MultipliedWeights {
  const entry = readCatalogue().models[name];
  if (entry === undefined) throw new Error(`the catalogue has no ${name}`);
  return multipliedWeights(shapeOfConfig(entry.config), { type: entry.type as QuantizeType, imatrix: false });
}
