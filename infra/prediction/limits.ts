import { formatBytes, parseBytes } from "../../common/units.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { CacheSettings } from "./memory.ts";
import { bestPlan, describeCandidate, frameOf, type Limits } from "./plans.ts";
import type { Prediction } from "./predict.ts";

/** Memory of a host that its system needs for itself; as the role `preflight` reckons. */
const SYSTEM_BYTES = 2 ** 30;

/** A host whose memory is known before anything runs. */
export interface HostMemory {
  name: string;
  memoryBytes: number;
}

/** Hosts whose memory the configuration says: the virtual ones. A real one is judged by the role `preflight`. */
export function knownMemories(hosts: readonly ConfiguredHost[]): HostMemory[] {
  return hosts.flatMap(({ name, virtual }) => (virtual ? [{ name, memoryBytes: virtual.memory }] : []));
}

/** What `knownMemories` reads of a host's configuration. */
interface ConfiguredHost {
  name: string;
  virtual?: { memory: number };
}

/**
 * Compares what is predicted with the recipe's limits and the hosts' memory.
 * @param hosts those whose memory is known
 * @throws UserError with every limit that is missed, each naming the plan that meets all of them at the least expected loss
 */
export function checkLimits(
  recipe: Recipe,
  prediction: Prediction,
  hosts: readonly HostMemory[],
  server: CacheSettings,
): void {
  const misses = [
    ...missedLimits(recipe.name, prediction, numbersOf(recipe.limits)),
    ...hosts.flatMap((host) => tooLarge(host, prediction)),
  ];
  if (misses.length === 0) return;
  const best = bestPlan(prediction.base, frameOf(recipe, server), limitsOf(recipe, hosts));
  const remedy =
    best === undefined
      ? "no plan meets all of them: relax a limit, shorten the context, or take a smaller model"
      : `the nearest plan that meets all limits: ${describeCandidate(best)}`;
  throw new UserError(misses.map((miss) => ({ ...miss, remedy })));
}

/** What a release must meet: the recipe's limits, and the memory that known hosts have beside their system. */
export function limitsOf({ limits }: Recipe, hosts: readonly HostMemory[]): Limits {
  const numbers = numbersOf(limits);
  const room = Math.min(...hosts.map(({ memoryBytes }) => memoryBytes - SYSTEM_BYTES));
  return { ...numbers, memoryBytes: Math.min(numbers.memoryBytes ?? Infinity, room) };
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

function missedLimits(recipe: string, { release }: Prediction, limits: Limits): Problem[] {
  const { fileBytes = Infinity, memoryBytes = Infinity, tokensPerSecond = 0 } = limits;
  const missed: Problem[] = [];
  const miss = (limit: keyof NonNullable<Recipe["limits"]>, what: string): void => {
    missed.push({ where: `${recipe}: limits.${limit}`, what });
  };
  if (release.fileBytes > fileBytes)
    miss(
      "maxFileSize",
      `the file will have ${formatBytes(release.fileBytes)}, more than ${formatBytes(fileBytes)}`,
    );
  if (release.memoryBytes > memoryBytes)
    miss(
      "maxMemory",
      `it will take ${formatBytes(release.memoryBytes)} of memory, more than ${formatBytes(memoryBytes)}`,
    );
  if (release.tokensPerSecond < tokensPerSecond)
    miss(
      "minTokensPerSecond",
      `a Pi 4 will generate about ${release.tokensPerSecond.toFixed(2)} tokens/s, fewer than ${tokensPerSecond}`,
    );
  return missed;
}

function tooLarge({ name, memoryBytes }: HostMemory, { release }: Prediction): Problem[] {
  if (release.memoryBytes + SYSTEM_BYTES <= memoryBytes) return [];
  return [
    {
      where: `host ${name}`,
      what:
        `model, KV cache and buffers will take ${formatBytes(release.memoryBytes)} and the system ` +
        `${formatBytes(SYSTEM_BYTES)}, but it has ${formatBytes(memoryBytes)} of memory`,
    },
  ];
}
