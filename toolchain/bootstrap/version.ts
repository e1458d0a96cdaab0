/** A dotted version's numbers; what follows `-` or `+` is not compared. `undefined` when there is no version in `text`. */
export function parseVersion(text: string): number[] | undefined {
  const match = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
  return match?.slice(1).map((part) => Number(part ?? 0));
}

/** Whether `version` is `minimum` or newer and, unless `anyMajor`, of the same major version. Unreadable versions do not suit. */
export function suits(version: string, minimum: string, { anyMajor = false } = {}): boolean {
  const have = parseVersion(version);
  const need = parseVersion(minimum);
  if (have === undefined || need === undefined) return false;
  if (!anyMajor && have[0] !== need[0]) return false;
  for (const [i, wanted] of need.entries()) {
    const difference = (have[i] ?? 0) - wanted;
    if (difference !== 0) return difference > 0;
  }
  return true;
}
