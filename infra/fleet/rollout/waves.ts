import type { Quota, RolloutConfig } from "../../config/rollout-schema.ts";

/** Hosts that get a release together. */
export interface WaveOf<Host> {
  /** `wave-1`, `wave-2`, … */
  name: string;
  hosts: readonly Host[];
}

/** How a fleet is divided. */
export type Division = Pick<RolloutConfig, "canary" | "steps" | "orderBy">;

interface Labelled {
  labels: Readonly<Record<string, string>>;
}

/**
 * Divides a fleet into waves: the canary, then as many hosts as each step adds, then the rest. A wave that would add
 * nobody is left out, so small fleets have fewer waves than the configuration lists.
 */
export function divideIntoWaves<Host extends Labelled>(
  hosts: readonly Host[],
  division: Division,
): WaveOf<Host>[] {
  const ordered = orderHosts(hosts, division.orderBy);
  const ends = [division.canary, ...division.steps].map((quota) => hostsIn(quota, ordered.length));
  const waves: (readonly Host[])[] = [];
  let begun = 0;
  for (const end of [...ends, ordered.length]) {
    if (end <= begun) continue;
    waves.push(ordered.slice(begun, end));
    begun = Math.min(end, ordered.length);
  }
  return waves.map((members, index) => ({ name: `wave-${index + 1}`, hosts: members }));
}

/** How many of `total` hosts a quota means. A share of some hosts is at least one host: 1 % of 50 is not nobody. */
export function hostsIn({ count, share = 0 }: Quota, total: number): number {
  // 0.07 * 100 is 7.000000000000001: an eighth host must not come of that.
  return Math.min(count ?? Math.ceil(share * total - 1e-9), total);
}

/** How many hosts of a wave may fail. Here a share is rounded down: a threshold is never exceeded. */
export function failuresAllowed({ count, share = 0 }: Quota, total: number): number {
  return count ?? Math.floor(share * total + 1e-9);
}

/** By the label's value, numbers by size; hosts without the label last; equals as they were. */
export function orderHosts<Host extends Labelled>(hosts: readonly Host[], label: string | undefined): Host[] {
  if (label === undefined) return [...hosts];
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  return [...hosts].sort((a, b) => {
    const [left, right] = [a.labels[label], b.labels[label]];
    if (left === undefined || right === undefined)
      return Number(left === undefined) - Number(right === undefined);
    return compare(left, right);
  });
}
