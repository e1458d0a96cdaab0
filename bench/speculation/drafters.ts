/**
 * Ways of llama-server to draft tokens from what was said before, and their options. Named by the tokens that have to
 * have been there before, and by those drafted at most; the last two have upstream's own lengths.
 */
export const drafters: Readonly<Record<string, readonly string[]>> = {
  "ngram-map-k 2+2": lengths("map-k", 2, 2),
  "ngram-map-k 3+2": lengths("map-k", 3, 2),
  "ngram-map-k 3+3": lengths("map-k", 3, 3),
  "ngram-map-k4v 3+2": lengths("map-k4v", 3, 2),
  "ngram-simple 2+2": lengths("simple", 2, 2),
  "ngram-simple 3+3": lengths("simple", 3, 3),
  "ngram-mod 3+2": [
    ...["--spec-type", "ngram-mod", "--spec-ngram-mod-n-match", "3"],
    ...["--spec-ngram-mod-n-min", "1", "--spec-ngram-mod-n-max", "2"],
  ],
  "ngram-cache": ["--spec-type", "ngram-cache"],
  "ngram-simple 12+48": ["--spec-type", "ngram-simple"],
  "ngram-mod 24+64": ["--spec-default"],
};

/** @param match tokens that were there before, @param draft tokens that followed them then */
function lengths(type: "map-k" | "map-k4v" | "simple", match: number, draft: number): string[] {
  const option = `--spec-ngram-${type}`;
  return [
    ...["--spec-type", `ngram-${type}`],
    ...[`${option}-size-n`, String(match), `${option}-size-m`, String(draft)],
  ];
}
