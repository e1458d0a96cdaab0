import { z } from "zod";
import { parseDuration } from "../../common/units.ts";

/** A time in seconds, written with its unit: `"10 minutes"`. */
export const duration = z
  .string()
  .meta({ title: "duration" })
  .transform((text, context) => {
    const seconds = parseDuration(text);
    if (seconds !== undefined) return seconds;
    context.addIssue({
      code: "custom",
      message: `"${text}" is not a time; write it as "90 s" or "10 minutes"`,
    });
    return z.NEVER;
  });
