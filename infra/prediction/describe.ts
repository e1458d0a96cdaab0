import { formatBytes, formatDuration } from "../../common/units.ts";
import { isRecipe, type Model } from "../model/model.ts";
import type { PlannedStage } from "../stage/planned.ts";
import { compareWithBest } from "./best-plan.ts";
import { describeBasis, type SpeedBasis, type TokenSpeed } from "./board-speeds.ts";
import type { Prediction } from "./predict.ts";
import { compareWithSibling } from "./siblings.ts";
import { formatSpeed } from "./speed.ts";
import type { HostsAlike } from "./host-settings.ts";
import { describeSettings, memoryWith } from "./limits.ts";
import { usedContext } from "./memory.ts";
import type { StageCost } from "./stage-costs.ts";

/**
 * What a stack is predicted to serve, as `preview` says it.
 * @param settings of llama-server on the hosts
 */
export function describeRelease(
  model: Model,
  prediction: Prediction | undefined,
  settings: readonly HostsAlike[],
): string {
  if (prediction === undefined && !isRecipe(model))
    return "size, memory and speed: known once the model is fetched";
  if (prediction === undefined)
    return "size, memory and speed: known once the base model is fetched, or now with base.config in the recipe";
  if (prediction.shape.pooling !== undefined) return describeEmbedding(prediction, settings);
  const { release, prompt } = prediction;
  const comparison = isRecipe(model) ? compareWithBest(model, prediction, settings) : undefined;
  const sibling = isRecipe(model) ? compareWithSibling(model, prediction) : undefined;
  return [
    "predicted for the release",
    `  file    ${formatBytes(release.fileBytes)}`,
    ...settings.map(
      ({ server, hosts }) =>
        `  memory  ${formatBytes(memoryWith(prediction, server))} ${describeSettings(server, hosts, settings)}`,
    ),
    `  speed   ${describeSpeed(release)}`,
    `  prompt  ${describeSpeed(prompt, release.basis)}: ${formatDuration(firstTokenSeconds(prediction))} to the first token of an answer to ${PROMPT_TOKENS} tokens`,
    ...(comparison === undefined ? [] : [`  plan    ${comparison}`]),
    ...(sibling === undefined ? [] : [`  smaller ${sibling}`]),
  ].join("\n");
}

/** The same of an embedding model: it reads, and generates nothing. */
function describeEmbedding(prediction: Prediction, settings: readonly HostsAlike[]): string {
  const { release, shape } = prediction;
  return [
    "predicted for the release, an embedding model",
    `  file    ${formatBytes(release.fileBytes)}`,
    ...settings.map(({ server, hosts }) => {
      const contextLength = usedContext(shape, server);
      const where = describeSettings({ ...server, contextLength }, hosts, settings);
      return `  memory  ${formatBytes(memoryWith(prediction, server))} ${where}`;
    }),
    `  reads   ${describeSpeed(release)}`,
  ].join("\n");
}

/** A page of text, more or less. */
export const PROMPT_TOKENS = 500;

/** Seconds until a model begins to answer such a prompt. */
export function firstTokenSeconds({ prompt, release }: Pick<Prediction, "prompt" | "release">): number {
  return PROMPT_TOKENS / prompt.tokensPerSecond + 1 / release.tokensPerSecond;
}

/**
 * `about 0.96 tokens/s on a Raspberry Pi 4 (a model, not a measurement)`, `0.91 tokens/s (measured on pi-1)`.
 * @param known what was said just before; resting on the same, a speed is told without it
 */
function describeSpeed({ tokensPerSecond, basis }: TokenSpeed, known?: SpeedBasis): string {
  const about = basis.kind === "measured" ? "" : "about ";
  const said = known !== undefined && describeBasis(known) === describeBasis(basis);
  const where = basis.kind === "predicted" ? " on a Raspberry Pi 4" : "";
  return `${about}${formatSpeed(tokensPerSecond)} tokens/s${said ? " there" : `${where} (${describeBasis(basis)})`}`;
}

/**
 * A plan as the lines that `preview` shows: what is in the store, what will run, and about how long and large that is.
 * @param costs predicted, by stage; empty where nothing can be predicted yet
 */
export function describePlan(
  stages: readonly PlannedStage[],
  costs: ReadonlyMap<string, StageCost> = new Map(),
): string {
  const width = Math.max(...stages.map(({ name }) => name.length));
  const lines = stages.map(({ name, key, artifact }) => {
    const cost = costs.get(name);
    const about = cost && artifact === undefined ? `  about ${describeStageCost(cost)}` : "";
    return `  ${name.padEnd(width)}  ${key.slice(0, 12)}  ${artifact === undefined ? "will run" : "in the store"}${about}`;
  });
  const missing = stages.filter(({ artifact }) => artifact === undefined);
  const head =
    missing.length === 0
      ? `all ${stages.length} stages are in the store`
      : `${missing.length} of ${stages.length} stages will run`;
  const total = missing.flatMap(({ name }) => costs.get(name) ?? []);
  const sum: StageCost = {
    seconds: total.reduce((seconds, cost) => seconds + cost.seconds, 0),
    bytes: total.reduce((bytes, cost) => bytes + cost.bytes, 0),
  };
  return [total.length > 0 ? `${head}, about ${describeStageCost(sum)} in all` : head, ...lines].join("\n");
}

function describeStageCost({ seconds, bytes }: StageCost): string {
  return `${formatDuration(seconds)}${bytes > 0 ? `, ${formatBytes(bytes)}` : ""}`;
}
