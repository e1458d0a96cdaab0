import { z } from "zod";
import { parseBytes, parseDuration } from "../../common/units.ts";

/** A size in bytes, written with its unit: `"2 GiB"`. */
export const size = quantity("size", parseBytes, 'is not a size; write it as "2 GiB" or "3.99 GB"');

/** A time in seconds, written with its unit: `"10 minutes"`. */
export const duration = quantity(
  "duration",
  parseDuration,
  'is not a time; write it as "90 s" or "10 minutes"',
);

function quantity(title: string, parse: (text: string) => number | undefined, problem: string) {
  return z
    .string()
    .meta({ title })
    .transform((text, context) => {
      const value = parse(text);
      if (value !== undefined) return value;
      context.addIssue({ code: "custom", message: `"${text}" ${problem}` });
      return z.NEVER;
    });
}
