import { z } from "zod";

/** What each schema that is chosen by the value has to choose from, for the documentation. */
export const choices = new Map<z.core.$ZodType, readonly z.ZodType[]>();

/** A schema chosen by the value, so that problems are those of the kind that was meant, each by its own path. */
export function chosen<const Kinds extends readonly z.ZodType[]>(
  kinds: Kinds,
  choose: (value: unknown) => Kinds[number],
  description?: string,
) {
  const schema = z.unknown().transform((value, context): z.output<Kinds[number]> => {
    const parsed = choose(value).safeParse(value);
    if (parsed.success) return parsed.data as z.output<Kinds[number]>;
    for (const issue of parsed.error.issues)
      context.issues.push({ ...issue, input: value } as z.core.$ZodRawIssue);
    return z.NEVER;
  });
  choices.set(schema, kinds);
  // `describe` would return another schema, which has no choices.
  if (description !== undefined) z.globalRegistry.add(schema, { description });
  return schema;
}
