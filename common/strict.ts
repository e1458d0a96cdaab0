import { z } from "zod";
import { unknownKey } from "./nearest.ts";

/** An object whose unknown keys are errors; the message has one line per unknown key, naming the nearest known one. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => unknownKey(key, Object.keys(shape))).join("\n")
        : undefined,
  });
}

/** A zod issue as paths and what is wrong there: the issue of `strict` is one for every unknown key. */
export function issuePlaces(issue: z.core.$ZodIssue): { path: PropertyKey[]; what: string }[] {
  if (issue.code !== "unrecognized_keys") return [{ path: issue.path, what: issue.message }];
  const messages = issue.message.split("\n");
  return issue.keys.map((key, index) => ({
    path: [...issue.path, key],
    what: messages[index] ?? "unknown key",
  }));
}
