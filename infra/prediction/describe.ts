import { formatBytes } from "../config/units.ts";
import type { CacheSettings } from "./memory.ts";
import type { Prediction } from "./predict.ts";

/**
 * What a recipe is predicted to give, as `preview` says it.
 * @param server how llama-server is started on the hosts
 */
export function describeRelease(prediction: Prediction | undefined, { context }: CacheSettings): string {
  if (prediction === undefined)
    return "size, memory and speed: known once the base model is fetched, or now with base.config in the recipe";
  const { release } = prediction;
  return [
    "predicted for the release",
    `  file    ${formatBytes(release.fileBytes)}`,
    `  memory  ${formatBytes(release.ramBytes)} on a host, with ${context} tokens of context`,
    `  speed   about ${formatSpeed(release.tokensPerSecond)} tokens/s on a Raspberry Pi 4 (a model, not a measurement)`,
  ].join("\n");
}

/** Three significant figures at most: the model is good for no more. */
export function formatSpeed(tokensPerSecond: number): string {
  return tokensPerSecond < 10 ? tokensPerSecond.toFixed(2) : tokensPerSecond.toFixed(0);
}
