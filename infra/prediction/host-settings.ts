import type { HostConfig } from "../config/hosts.ts";
import type { ServerSettings } from "../config/server-settings.ts";
import type { CacheSettings } from "./memory.ts";

/** Hosts whose llama-servers take the same memory for a release, and share their context among as many requests. */
export interface HostsAlike {
  server: CacheSettings;
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
  const groups = new Map<string, { server: CacheSettings; hosts: HostMemory[] }>();
  for (const host of fleet) {
    const { name, where, server } = host;
    const { contextLength, cacheType, parallel, speculation, systemPrompt } = server;
    const predicted = { contextLength, cacheType, parallel, speculation, systemPrompt };
    const key = JSON.stringify(predicted);
    const group = groups.get(key) ?? { server: predicted, hosts: [] };
    group.hosts.push({ name, where, ...("virtual" in host && { memoryBytes: host.virtual.memory }) });
    groups.set(key, group);
  }
  return groups.size > 0 ? [...groups.values()] : [{ server: stack, hosts: [] }];
}
