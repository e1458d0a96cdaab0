import { parseArgs } from "node:util";
import { UserError } from "../common/user-error.ts";

/** A benchmark's options, each with one value. @throws UserError for what is none of `names` */
export function readOptions<Name extends string>(
  bench: string,
  names: readonly Name[],
  args: readonly string[],
): Partial<Record<Name, string>> {
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  try {
    return parseArgs({ args: [...args], options }).values as Partial<Record<Name, string>>;
  } catch (error) {
    throw new UserError({
      where: bench,
      what: (error as Error).message.split(". ")[0] ?? "unknown option",
      remedy: `known: ${names.map((name) => `--${name}`).join(", ")}`,
    });
  }
}

/** What is written one after the other with commas between; undefined where nothing is. */
export function list(text: string | undefined): string[] | undefined {
  return text?.split(",").map((part) => part.trim());
}
