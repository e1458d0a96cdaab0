import { existsSync } from "node:fs";
import { expandHome, type Hop, type Machine } from "./machine.ts";

/**
 * A machine as this computer can reach it where its entry was written on another one: without the key files and sockets that
 * are not here, so that the agent is asked.
 * @returns the machine, and what was left out
 */
export function withKeysHere(machine: Machine): { machine: Machine; missing: string[] } {
  const hops = machine.bastion === undefined ? [machine] : [machine, machine.bastion];
  const missing = hops.flatMap(missingFiles);
  const bastion = machine.bastion && withoutMissing(machine.bastion);
  return { machine: { ...withoutMissing(machine), ...(bastion && { bastion }) }, missing };
}

const keys = ["privateKeyFile", "agentSocket"] as const;

function missingFiles(hop: Hop): string[] {
  return keys.flatMap((key) => hop[key] ?? []).filter((file) => !existsSync(expandHome(file)));
}

function withoutMissing<One extends Hop>(hop: One): One {
  const missing = missingFiles(hop);
  const isHere = ([key, value]: [string, unknown]) =>
    !(keys as readonly string[]).includes(key) || !missing.includes(String(value));
  return Object.fromEntries(Object.entries(hop).filter(isHere)) as One;
}
