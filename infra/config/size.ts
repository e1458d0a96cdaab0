import { z } from "zod";
import { parseBytes } from "../../common/units.ts";

/** A size in bytes, written with its unit: `"2 GiB"`. */
export const size = z
  .string()
  .meta({ title: "size" })
  .transform((text, context) => {
    const bytes = parseBytes(text);
    if (bytes !== undefined) return bytes;
    context.addIssue({
      code: "custom",
      message: `"${text}" is not a size; write it as "2 GiB" or "3.99 GB"`,
    });
    return z.NEVER;
  });
