import { formatBytes, parseBytes } from "../../common/units.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { HostMemory, HostsAlike } from "./host-settings.ts";
import { memoryMax, RESERVE_BYTES, serverMemory, SYSTEM_BYTES, type CacheSettings } from "./memory.ts";
import { bestPlan, describeCandidate, frameOf, type Limits } from "./plans.ts";
import type { Prediction } from "./predict.ts";

/** Hosts that a message names. */
const NAMED_HOSTS = 3;

/**
 * Compares what is predicted with the recipe's limits and the memory of each host under its own settings.
 * @throws UserError with every limit that is missed, each naming the plan that meets all of them at the least expected loss
 */
export function checkLimits(recipe: Recipe, prediction: Prediction, settings: readonly HostsAlike[]): void {
  const misses = [
    ...missedLimits(recipe, prediction, settings),
    ...settings.flatMap(({ server, hosts }) => hosts.flatMap((host) => tooLarge(host, prediction, server))),
  ];
  if (misses.length === 0) return;
  const { server, limits } = tightest(recipe, prediction, settings);
  const best = bestPlan(prediction.base, frameOf(recipe, server), limits);
  const remedy =
    best === undefined
      ? "no plan meets all of them: relax a limit, shorten the context, or take a smaller model"
      : `the nearest plan that meets all limits: ${describeCandidate(best)}`;
  throw new UserError(misses.map((miss) => ({ ...miss, remedy })));
}

/** Memory of llama-server with a release under some settings, in bytes. */
export function memoryWith({ shape, release }: Prediction, server: CacheSettings): number {
  return serverMemory(shape, release.fileBytes, server);
}

/**
 * The settings that leave a release the least memory to spare, and what it must meet there: the recipe's limits, and the
 * memory that known hosts have beside their reserve.
 */
export function tightest(
  recipe: Recipe,
  prediction: Prediction,
  settings: readonly HostsAlike[],
): { server: CacheSettings; limits: Limits } {
  const numbers = numbersOf(recipe.limits);
  const candidates = settings.map(({ server, hosts }) => {
    const room = hosts.map((host) => (host.memoryBytes ?? Infinity) - RESERVE_BYTES);
    const memoryBytes = Math.min(numbers.memoryBytes ?? Infinity, ...room);
    const spare = memoryBytes - memoryWith(prediction, server);
    return { server, limits: { ...numbers, memoryBytes }, spare };
  });
  return candidates.reduce((tight, other) => (other.spare < tight.spare ? other : tight));
}

/** A recipe's limits as numbers. */
function numbersOf({ maxFileSize, maxMemory, minTokensPerSecond }: Recipe["limits"] = {}): Limits {
  const size = (text: string | undefined): number | undefined =>
    text === undefined ? undefined : parseBytes(text);
  return {
    fileBytes: size(maxFileSize),
    memoryBytes: size(maxMemory),
    tokensPerSecond: minTokensPerSecond,
  };
}

function missedLimits(recipe: Recipe, prediction: Prediction, settings: readonly HostsAlike[]): Problem[] {
  const { release } = prediction;
  const { fileBytes = Infinity, memoryBytes = Infinity, tokensPerSecond = 0 } = numbersOf(recipe.limits);
  const missed: Problem[] = [];
  const miss = (limit: keyof NonNullable<Recipe["limits"]>, what: string): void => {
    missed.push({ where: `${recipe.name}: limits.${limit}`, what });
  };
  if (release.fileBytes > fileBytes)
    miss(
      "maxFileSize",
      `the file will have ${formatBytes(release.fileBytes)}, more than ${formatBytes(fileBytes)}`,
    );
  for (const { server, hosts } of settings)
    if (memoryWith(prediction, server) > memoryBytes)
      miss(
        "maxMemory",
        `it will take ${formatBytes(memoryWith(prediction, server))} of memory ${describeSettings(server, hosts, settings)}, ` +
          `more than ${formatBytes(memoryBytes)}`,
      );
  if (release.tokensPerSecond < tokensPerSecond)
    miss(
      "minTokensPerSecond",
      `a Pi 4 will generate about ${release.tokensPerSecond.toFixed(2)} tokens/s, fewer than ${tokensPerSecond}`,
    );
  return missed;
}

function tooLarge(
  { name, where, memoryBytes = Infinity }: HostMemory,
  { shape, release }: Prediction,
  server: CacheSettings,
): Problem[] {
  const needed = memoryMax(shape, release.fileBytes, server);
  if (needed + SYSTEM_BYTES <= memoryBytes) return [];
  return [
    {
      where,
      what:
        `with ${server.contextLength} tokens of context, model, KV cache and buffers may take ${formatBytes(needed)} ` +
        `and the system ${formatBytes(SYSTEM_BYTES)}, but ${name} has ${formatBytes(memoryBytes)} of memory`,
    },
  ];
}

/** Settings as a message tells them from those of other hosts: `on pi-1, pi-2, with 4096 tokens of context`. */
export function describeSettings(
  { contextLength, cacheType = "f16" }: CacheSettings,
  hosts: readonly HostMemory[],
  all: readonly HostsAlike[],
): string {
  const names = hosts.slice(0, NAMED_HOSTS).map(({ name }) => name);
  const more = hosts.length - names.length;
  const which = all.length === 1 ? "a host" : names.join(", ") + (more > 0 ? ` and ${more} more` : "");
  const cache = cacheType === "f16" ? "" : ` in a ${cacheType} cache`;
  return `on ${which}, with ${contextLength} tokens of context${cache}`;
}
