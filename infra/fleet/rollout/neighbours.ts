import type { Host } from "../host.ts";

/** Port on which a host lends what it has fetched. */
export const sharePort = 9112;

/** How many neighbours a host asks before the controller. */
const asked = 3;

/**
 * The hosts that a host asks for a release, of those that have it: its own group's first, and not the same ones for every
 * host, so that no single card feeds a whole wave.
 * @param position of the host in its wave
 */
export function chooseNeighbours<Candidate extends Pick<Host, "name" | "group">>(
  host: Pick<Host, "group">,
  position: number,
  served: readonly Candidate[],
): Candidate[] {
  const own = served.filter(({ group }) => group !== undefined && group === host.group);
  const others = served.filter((candidate) => !own.includes(candidate));
  return [...rotate(own, position), ...rotate(others, position)].slice(0, asked);
}

function rotate<Item>(items: readonly Item[], by: number): Item[] {
  const start = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(start), ...items.slice(0, start)];
}
