import { closest, distance } from "fastest-levenshtein";

/** `did you mean "x"?`, with the known word that a misspelt one most likely meant; undefined when none is near. */
export function didYouMean(word: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const candidate = closest(word, [...known]);
  const isNear = distance(word, candidate) <= Math.max(2, Math.floor(word.length / 3));
  return isNear ? `did you mean "${candidate}"?` : undefined;
}

/** What is wrong with a key that is none of the known ones. */
export function unknownKey(key: string, known: readonly string[]): string {
  if (known.length === 0) return "unknown key";
  return `unknown key; ${didYouMean(key, known) ?? `known here: ${known.join(", ")}`}`;
}
