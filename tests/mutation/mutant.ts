import { randomNumbers } from "../../common/random.ts";

/** A small bug, and where it is. */
export interface Mutant {
  /** From the repository's root. */
  file: string;
  /** From 1. */
  line: number;
  column: number;
  /** What is there instead, for a reader. */
  change: string;
}

/**
 * At most `count` mutants, the same ones for a seed: places are drawn, then one mutant of each, so that an operator with many
 * replacements counts no more than another. In the order of the files.
 */
export function sample<Kind extends Omit<Mutant, "change">>(
  mutants: readonly Kind[],
  count: number,
  seed: number,
): Kind[] {
  const places = new Map<string, Kind[]>();
  for (const mutant of mutants) {
    const place = `${mutant.file}:${mutant.line}:${mutant.column}`;
    places.set(place, [...(places.get(place) ?? []), mutant]);
  }
  const random = randomNumbers(seed);
  const draw = <Item>(items: Item[]): Item[] => items.splice(Math.floor(random() * items.length), 1);
  const undrawn = [...places.values()];
  const drawn: Kind[] = [];
  while (drawn.length < count && undrawn.length > 0) drawn.push(...draw(undrawn).flatMap(draw));
  return drawn.sort((a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column);
}
