import type { HostConfig } from "../config/hosts.ts";
import type { ServerSettings } from "../config/server-settings.ts";
import type { CacheSettings } from "./memory.ts";

/** What a prediction tells apart of llama-server's settings. */
export type PredictedSettings = CacheSettings;

/** Hosts whose llama-servers take the same memory for a release, and share their context among as many requests. */
export interface HostsAlike {
  server: PredictedSettings;
  hosts: readonly HostMemory[];
}

/** What a prediction knows of a host. */
export interface HostMemory {
  name: string;
  /** Where it is written down. */
  where: string;
  /** Known of virtual hosts. A real one is checked by the role `preflight`. */
  memoryBytes?: number;
}

/**
 * Groups a fleet by these settings, so that each is predicted and checked once.
 * @param stack settings of a host that has none of its own; the only ones of a stack without hosts
 */
export function distinctSettings(fleet: readonly HostConfig[], stack: ServerSettings): HostsAlike[] {
  const groups = new Map<string, { server: PredictedSettings; hosts: HostMemory[] }>();
  for (const host of fleet) {
    const { name, where, server } = host;
    const { contextLength, cacheType, parallel, systemPrompt } = server;
    const prompts = systemPrompt === undefined ? {} : { systemPrompt };
    const key = `${contextLength} ${cacheType} ${parallel} ${JSON.stringify(systemPrompt)}`;
    const group = groups.get(key) ?? {
      server: { contextLength, cacheType, parallel, ...prompts },
      hosts: [],
    };
    group.hosts.push({ name, where, ...("virtual" in host && { memoryBytes: host.virtual.memory }) });
    groups.set(key, group);
  }
  return groups.size > 0 ? [...groups.values()] : [{ server: stack, hosts: [] }];
}
