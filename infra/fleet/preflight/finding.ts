import { type Problem, UserError } from "../../../common/user-error.ts";

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

/** Does a part of a look; where it is the user's own mistake that keeps it from its end, every problem becomes an error in `found`. */
export async function attempt<Result>(
  found: Finding[],
  work: () => Result | Promise<Result>,
): Promise<Result | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    found.push(...error.problems.map((problem) => ({ level: "error" as const, ...problem })));
    return undefined;
  }
}
