import { formatBytes, parseBytes } from "../../common/units.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { serverMemory, type CacheSettings } from "./memory.ts";
import { bestPlan, describeCandidate, frameOf, type Limits } from "./plans.ts";
import type { Prediction } from "./predict.ts";

/** Memory of a host that its system needs for itself; as the role `preflight` reckons. */
const SYSTEM_BYTES = 2 ** 30;

/** A host, how llama-server is started on it, and its memory where that is known before anything runs. */
export interface PredictedHost {
  name: string;
  server: CacheSettings;
  memoryBytes?: number;
}

/** Hosts as far as a prediction goes. Memory is known of virtual ones; a real one is judged by the role `preflight`. */
export function predictedHosts(hosts: readonly ConfiguredHost[]): PredictedHost[] {
  return hosts.map(({ name, server, virtual }) => ({
    ...{ name, server },
    ...(virtual && { memoryBytes: virtual.memory }),
  }));
}

/** What `predictedHosts` reads of a host's configuration. */
interface ConfiguredHost {
  name: string;
  server: CacheSettings;
  virtual?: { memory: number };
}

/** One way to start llama-server, as far as its memory depends on it, and the hosts that start it so. */
export interface ServerInUse {
  server: CacheSettings;
  hosts: readonly PredictedHost[];
}

/** Every distinct way to start llama-server; that of the stack where there is no host. */
export function serversInUse(hosts: readonly PredictedHost[], server: CacheSettings): ServerInUse[] {
  if (hosts.length === 0) return [{ server, hosts }];
  const inUse = new Map<string, { server: CacheSettings; hosts: PredictedHost[] }>();
  for (const host of hosts) {
    const { contextLength, cacheType = "f16" } = host.server;
    const key = `${contextLength} ${cacheType}`;
    const same = inUse.get(key) ?? { server: { contextLength, cacheType }, hosts: [] };
    same.hosts.push(host);
    inUse.set(key, same);
  }
  return [...inUse.values()];
}

/**
 * Compares what is predicted with the recipe's limits and the hosts' memory, for every way in which llama-server is started.
 * @param server how it is started where there is no host
 * @throws UserError with every limit that is missed, each naming the plan that meets all of them at the least expected loss
 */
export function checkLimits(
  recipe: Recipe,
  prediction: Prediction,
  hosts: readonly PredictedHost[],
  server: CacheSettings,
): void {
  const servers = serversInUse(hosts, server);
  const misses = [
    ...missedLimits(recipe, prediction, servers),
    ...servers.flatMap((used) => tooLarge(used, prediction)),
  ];
  if (misses.length === 0) return;
  const best = bestPlan(prediction.base, frameOf(recipe, server), limitsOf(recipe, hosts, server));
  const remedy =
    best === undefined
      ? "no plan meets all of them: relax a limit, shorten the context, or take a smaller model"
      : `the nearest plan that meets all limits: ${describeCandidate(best)}`;
  throw new UserError(misses.map((miss) => ({ ...miss, remedy })));
}

/** What a release must meet: the recipe's limits, and the memory that known hosts have beside their system. */
export function limitsOf({ limits }: Recipe, hosts: readonly PredictedHost[], server: CacheSettings): Limits {
  const { maxFileSize, maxMemory, minTokensPerSecond } = limitsInBytes(limits);
  return {
    fileBytes: maxFileSize,
    tokensPerSecond: minTokensPerSecond,
    memory: serversInUse(hosts, server).map((used) => ({
      server: used.server,
      bytes: Math.min(maxMemory, ...used.hosts.map(roomOf)),
    })),
  };
}

/** Bytes that a host has for llama-server; any number where its memory is not known. */
function roomOf({ memoryBytes = Infinity }: PredictedHost): number {
  return memoryBytes - SYSTEM_BYTES;
}

function limitsInBytes({ maxFileSize, maxMemory, minTokensPerSecond = 0 }: Recipe["limits"] = {}) {
  const bytes = (size: string | undefined): number => parseBytes(size ?? "") ?? Infinity;
  return { maxFileSize: bytes(maxFileSize), maxMemory: bytes(maxMemory), minTokensPerSecond };
}

function missedLimits(
  { name, limits }: Recipe,
  { release }: Prediction,
  servers: readonly ServerInUse[],
): Problem[] {
  const { maxFileSize, maxMemory, minTokensPerSecond } = limitsInBytes(limits);
  const { fileBytes, tokensPerSecond } = release;
  const missed: Problem[] = [];
  const miss = (limit: keyof NonNullable<Recipe["limits"]>, what: string): void => {
    missed.push({ where: `${name}: limits.${limit}`, what });
  };
  if (fileBytes > maxFileSize)
    miss(
      "maxFileSize",
      `the file will have ${formatBytes(fileBytes)}, more than ${formatBytes(maxFileSize)}`,
    );
  for (const { server } of servers) {
    const memory = serverMemory(release.shape, fileBytes, server);
    if (memory > maxMemory)
      miss(
        "maxMemory",
        `it will take ${formatBytes(memory)} of memory ${describeServer(server)}, more than ${formatBytes(maxMemory)}`,
      );
  }
  if (tokensPerSecond < minTokensPerSecond)
    miss(
      "minTokensPerSecond",
      `a Pi 4 will generate about ${tokensPerSecond.toFixed(2)} tokens/s, fewer than ${minTokensPerSecond}`,
    );
  return missed;
}

function tooLarge({ server, hosts }: ServerInUse, { release }: Prediction): Problem[] {
  const memory = serverMemory(release.shape, release.fileBytes, server);
  return hosts
    .filter((host) => memory > roomOf(host))
    .map(({ name, memoryBytes = 0 }) => ({
      where: `host ${name}`,
      what:
        `model, KV cache and buffers will take ${formatBytes(memory)} ${describeServer(server)} and the system ` +
        `${formatBytes(SYSTEM_BYTES)}, but it has ${formatBytes(memoryBytes)} of memory`,
    }));
}

/** `with 4096 tokens of context`, as preview and errors say it. */
export function describeServer({ contextLength, cacheType = "f16" }: CacheSettings): string {
  return `with ${contextLength} tokens of context${cacheType === "f16" ? "" : ` in ${cacheType}`}`;
}
