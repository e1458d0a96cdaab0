import { formatBytes, parseBytes } from "../../common/units.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import { isRecipe, type Model } from "../model/model.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { HostMemory, HostsAlike } from "./host-settings.ts";
import { describeBasis } from "./board-speeds.ts";
import { memoryMax, RESERVE_BYTES, serverMemory, SYSTEM_BYTES, type CacheSettings } from "./memory.ts";
import { bestPlan, describeCandidate, frameOf, type Limits } from "./plans.ts";
import type { Prediction } from "./predict.ts";

/** Hosts that a message names. */
const NAMED_HOSTS = 3;

/**
 * Compares what is predicted with the recipe's limits and the memory of each host under its own settings.
 * @throws UserError with every limit that is missed, each naming, of a recipe, the plan that meets all of them at the least
 * expected loss
 */
export function checkLimits(model: Model, prediction: Prediction, settings: readonly HostsAlike[]): void {
  const misses = [
    ...(isRecipe(model) ? missedLimits(model, prediction, settings) : []),
    ...settings.flatMap(({ server, hosts }) => hosts.flatMap((host) => tooLarge(host, prediction, server))),
  ];
  if (misses.length === 0) return;
  const remedy = isRecipe(model)
    ? nearestPlan(model, prediction, settings)
    : "shorten server.contextLength, keep it in q8_0 (server.cacheType), or take a smaller model: `./pipress models`";
  throw new UserError(misses.map((miss) => ({ ...miss, remedy })));
}

function nearestPlan(recipe: Recipe, prediction: Prediction, settings: readonly HostsAlike[]): string {
  const frame = frameOf(recipe, mostDemanding(prediction, settings), prediction.boards);
  const best = bestPlan(prediction.base, frame, limitsOf(recipe, settings));
  return best === undefined
    ? "no plan meets all of them: relax a limit, shorten the context, or take a smaller model"
    : `the nearest plan that meets all limits: ${describeCandidate(best)}`;
}

/** Warnings where a request gets more context than the model was trained for: past that, what it says makes no sense. */
export function contextWarnings(
  model: Pick<Model, "name">,
  { shape }: Prediction,
  settings: readonly HostsAlike[],
): string[] {
  const { trainedContext = Infinity, pooling } = shape;
  if (pooling !== undefined) return []; // it gets no more than that
  return settings
    .filter(({ server }) => contextOfEach(server) > trainedContext)
    .map(({ server, hosts }) => {
      const { contextLength, parallel = 1 } = server;
      const request = parallel === 1 ? "a request" : `each of ${parallel} requests`;
      return (
        `${model.name}: server.contextLength ${contextLength} gives ${request} on ${hostNames(hosts, settings)} ` +
        `${contextOfEach(server)} tokens, but the model was trained for ${trainedContext}, and what it says beyond ` +
        `them makes no sense: set it to ${trainedContext * parallel} or less`
      );
    });
}

/** Memory of llama-server with a release under some settings, in bytes. */
export function memoryWith({ shape, release }: Prediction, server: CacheSettings): number {
  return serverMemory(shape, release.fileBytes, server);
}

/** The settings under which a release takes the most memory: those that a plan's memory is told for. */
export function mostDemanding(prediction: Prediction, settings: readonly HostsAlike[]): CacheSettings {
  return settings
    .map(({ server }) => server)
    .reduce((most, other) => (memoryWith(prediction, other) > memoryWith(prediction, most) ? other : most));
}

/** What a release must meet: the recipe's limits, and the memory that known hosts have beside their reserve. */
export function limitsOf({ limits }: Recipe, settings: readonly HostsAlike[]): Limits {
  const { maxFileSize, maxMemory, minTokensPerSecond } = limitsInBytes(limits);
  return {
    fileBytes: maxFileSize,
    tokensPerSecond: minTokensPerSecond,
    memory: settings.map(({ server, hosts }) => ({
      server,
      bytes: Math.min(maxMemory, ...hosts.map(({ memoryBytes = Infinity }) => memoryBytes - RESERVE_BYTES)),
    })),
  };
}

/** A recipe's limits as numbers; what it leaves out limits nothing. */
function limitsInBytes({ maxFileSize, maxMemory, minTokensPerSecond = 0 }: Recipe["limits"] = {}) {
  const bytes = (size: string | undefined): number => parseBytes(size ?? "") ?? Infinity;
  return { maxFileSize: bytes(maxFileSize), maxMemory: bytes(maxMemory), minTokensPerSecond };
}

function missedLimits(recipe: Recipe, prediction: Prediction, settings: readonly HostsAlike[]): Problem[] {
  const { fileBytes, tokensPerSecond, basis } = prediction.release;
  const { maxFileSize, maxMemory, minTokensPerSecond } = limitsInBytes(recipe.limits);
  const missed: Problem[] = [];
  const miss = (limit: keyof NonNullable<Recipe["limits"]>, what: string): void => {
    missed.push({ where: `${recipe.name}: limits.${limit}`, what });
  };
  const atMost = (limit: "maxFileSize" | "maxMemory", bytes: number, most: number, what: string): void => {
    if (bytes > most) miss(limit, `${what}, more than ${formatBytes(most)}`);
  };
  atMost("maxFileSize", fileBytes, maxFileSize, `the file will have ${formatBytes(fileBytes)}`);
  for (const { server, hosts } of settings) {
    const memory = memoryWith(prediction, server);
    const where = describeSettings(server, hosts, settings);
    atMost("maxMemory", memory, maxMemory, `it will take ${formatBytes(memory)} of memory ${where}`);
  }
  const speed = tokensPerSecond.toFixed(2);
  if (tokensPerSecond < minTokensPerSecond)
    miss(
      "minTokensPerSecond",
      `a Pi 4 will generate about ${speed} tokens/s, fewer than ${minTokensPerSecond} (${describeBasis(basis)})`,
    );
  return missed;
}

function tooLarge(
  { name, where, memoryBytes = Infinity }: HostMemory,
  { shape, release }: Prediction,
  server: CacheSettings,
): Problem[] {
  const needed = memoryMax(shape, release.fileBytes, server);
  const what =
    `with ${server.contextLength} tokens of context, model, KV cache and buffers may take ${formatBytes(needed)} ` +
    `and the system ${formatBytes(SYSTEM_BYTES)}, but ${name} has ${formatBytes(memoryBytes)} of memory`;
  return needed + SYSTEM_BYTES <= memoryBytes ? [] : [{ where, what }];
}

/** Settings as a message tells them from those of other hosts: `on pi-1, pi-2, with 4096 tokens of context`. */
export function describeSettings(
  server: CacheSettings,
  hosts: readonly HostMemory[],
  all: readonly HostsAlike[],
): string {
  const { contextLength, cacheType = "f16", parallel = 1, systemPrompt } = server;
  const kept = systemPrompt === undefined ? "" : ", prompts kept for the next request";
  const cache = cacheType === "f16" ? "" : ` in a ${cacheType} cache`;
  const share = parallel === 1 ? "" : `, ${contextOfEach(server)} for each of ${parallel} requests`;
  return `on ${hostNames(hosts, all)}, with ${contextLength} tokens of context${cache}${share}${kept}`;
}

/** Tokens of context that one request has: llama-server divides its context among those that it serves at a time. */
function contextOfEach({ contextLength, parallel = 1 }: CacheSettings): number {
  return Math.floor(contextLength / parallel);
}

/** The first few hosts of a group by name; where all hosts are alike, `a host`. */
function hostNames(hosts: readonly HostMemory[], all: readonly HostsAlike[]): string {
  if (all.length === 1) return "a host";
  const names = hosts.slice(0, NAMED_HOSTS).map(({ name }) => name);
  const more = hosts.length - names.length;
  return names.join(", ") + (more > 0 ? ` and ${more} more` : "");
}
