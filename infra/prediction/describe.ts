import { formatBytes } from "../../common/units.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { compareWithBest } from "./best-plan.ts";
import type { CacheSettings } from "./memory.ts";
import type { Prediction } from "./predict.ts";
import { formatSpeed } from "./speed.ts";
import type { HostMemory } from "./limits.ts";

/**
 * What a recipe is predicted to give, as `preview` says it.
 * @param hosts those whose memory is known
 * @param server how llama-server is started on the hosts
 */
export function describeRelease(
  recipe: Recipe,
  prediction: Prediction | undefined,
  hosts: readonly HostMemory[],
  server: CacheSettings,
): string {
  if (prediction === undefined)
    return "size, memory and speed: known once the base model is fetched, or now with base.config in the recipe";
  const { release } = prediction;
  const comparison = compareWithBest(recipe, prediction, hosts, server);
  return [
    "predicted for the release",
    `  file    ${formatBytes(release.fileBytes)}`,
    `  memory  ${formatBytes(release.memoryBytes)} on a host, with ${server.contextLength} tokens of context`,
    `  speed   about ${formatSpeed(release.tokensPerSecond)} tokens/s on a Raspberry Pi 4 (a model, not a measurement)`,
    ...(comparison === undefined ? [] : [`  plan    ${comparison}`]),
  ].join("\n");
}
