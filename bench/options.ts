import { parseArgs } from "node:util";
import { z } from "zod";
import { UserError } from "../common/user-error.ts";

/** A benchmark's options, each with one value. @throws UserError with every problem */
export function readOptions<Shape extends z.ZodRawShape>(
  bench: string,
  shape: Shape,
  args: string[],
): z.output<z.ZodObject<Shape>> {
  const names = Object.keys(shape);
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  let values: Record<string, unknown>;
  try {
    ({ values } = parseArgs({ args, options }));
  } catch (error) {
    throw new UserError({
      where: bench,
      what: (error as Error).message.split(". ")[0] ?? "unknown option",
      remedy: `known: ${names.map((name) => `--${name}`).join(", ")}`,
    });
  }
  const { success, data, error } = z.object(shape).safeParse({ ...values });
  if (success) return data;
  throw new UserError(
    error.issues.map(({ path: [name = ""], message }) => ({
      where: `${bench} --${String(name)} ${String(values[String(name)])}`,
      what: message,
    })),
  );
}

/** Several values, with commas between. */
export function list<Item extends z.ZodType<unknown, string>>(item: Item) {
  return z
    .string()
    .transform((text) => text.split(",").map((part) => part.trim()))
    .pipe(z.array(item));
}

/** A whole number, such as of rounds. */
export const whole = z.coerce.number<string>().int();
