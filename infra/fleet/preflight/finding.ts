import type { Problem } from "../../../common/user-error.ts";

/**
 * Something that was found before anything runs. An error keeps an `up` from its end, a warning is better put right, and a
 * note only says what is there.
 */
export interface Finding extends Problem {
  level: "error" | "warning" | "note";
}

/** A finding of the host's own, which comes as one text: `what is wrong — what to do`. */
export function parseFinding(level: Finding["level"], where: string, text: string): Finding {
  const [what = "", ...remedy] = text.trim().split(" — ");
  return { level, where, what, ...(remedy.length > 0 && { remedy: remedy.join(" — ") }) };
}
