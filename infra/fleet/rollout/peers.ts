import type { Host } from "../host.ts";

/** Port on which a host serves what it has fetched to its peers. */
export const peerPort = 9112;

/** How many peers a host asks before the controller. */
const maxPeers = 3;

/**
 * The hosts that a host asks for a release, of those that have it: its own group's first, and not the same ones for every
 * host, so that no single card feeds a whole wave.
 * @param index of the host in its wave
 */
export function choosePeers<Candidate extends Pick<Host, "name" | "group">>(
  host: Pick<Host, "group">,
  index: number,
  served: readonly Candidate[],
): Candidate[] {
  const own = served.filter(({ group }) => group !== undefined && group === host.group);
  const others = served.filter((candidate) => !own.includes(candidate));
  return [...rotate(own, index), ...rotate(others, index)].slice(0, maxPeers);
}

function rotate<Item>(items: readonly Item[], by: number): Item[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
