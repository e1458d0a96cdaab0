import { formatBytes, parseBytes } from "../../common/units.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { Recipe, Targets } from "../recipe/recipe.ts";
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
 * Compares what is predicted with the recipe's targets and the hosts' memory.
 * @param hosts those whose memory is known
 * @throws UserError with every miss, each naming the plan that keeps to all limits at the least expected loss
 */
export function checkTargets(
  recipe: Recipe,
  prediction: Prediction,
  hosts: readonly HostMemory[],
  server: CacheSettings,
): void {
  const targets = numbersOf(recipe.targets);
  const misses = [
    ...missedTargets(recipe.name, prediction, targets),
    ...hosts.flatMap((host) => tooLarge(host, prediction)),
  ];
  if (misses.length === 0) return;
  const best = bestPlan(prediction.base, frameOf(recipe, server), limitsOf(recipe, hosts));
  const remedy =
    best === undefined
      ? "no plan keeps to all of them: relax a target, shorten the context, or take a smaller model"
      : `the nearest plan that keeps to all limits: ${describeCandidate(best)}`;
  throw new UserError(misses.map((miss) => ({ ...miss, remedy })));
}

/** What a release has to keep to: the recipe's targets, and the memory that known hosts have beside their system. */
export function limitsOf({ targets }: Recipe, hosts: readonly HostMemory[]): Limits {
  const limits = numbersOf(targets);
  const room = Math.min(...hosts.map(({ memoryBytes }) => memoryBytes - SYSTEM_BYTES));
  return { ...limits, ramBytes: Math.min(limits.ramBytes ?? Infinity, room) };
}

/** Targets as numbers; sizes may be written with their unit. */
function numbersOf({ bytes, ramBytes, tokensPerSecond }: Targets = {}): Limits {
  const size = (value: number | string | undefined): number | undefined =>
    typeof value === "string" ? parseBytes(value) : value;
  return { bytes: size(bytes), ramBytes: size(ramBytes), tokensPerSecond };
}

function missedTargets(recipe: string, { release }: Prediction, limits: Limits): Problem[] {
  const { bytes = Infinity, ramBytes = Infinity, tokensPerSecond = 0 } = limits;
  const missed: Problem[] = [];
  const miss = (target: string, what: string): void => {
    missed.push({ where: `${recipe}: targets.${target}`, what });
  };
  if (release.fileBytes > bytes)
    miss("bytes", `the file will have ${formatBytes(release.fileBytes)}, more than ${formatBytes(bytes)}`);
  if (release.ramBytes > ramBytes)
    miss(
      "ramBytes",
      `it will take ${formatBytes(release.ramBytes)} of memory, more than ${formatBytes(ramBytes)}`,
    );
  if (release.tokensPerSecond < tokensPerSecond)
    miss(
      "tokensPerSecond",
      `a Pi 4 will generate about ${release.tokensPerSecond.toFixed(2)} tokens/s, fewer than ${tokensPerSecond}`,
    );
  return missed;
}

function tooLarge({ name, memoryBytes }: HostMemory, { release }: Prediction): Problem[] {
  if (release.ramBytes + SYSTEM_BYTES <= memoryBytes) return [];
  return [
    {
      where: `host ${name}`,
      what:
        `model, KV cache and buffers will take ${formatBytes(release.ramBytes)} and the system ` +
        `${formatBytes(SYSTEM_BYTES)}, but it has ${formatBytes(memoryBytes)} of memory`,
    },
  ];
}
