import { z } from "zod";
import { list, readOptions, whole } from "../options.ts";
import { METHODS } from "./methods.ts";

export const sections = [
  "pruning",
  "recovery",
  "ffn-widths",
  "minutes",
  "quantization",
  "mixed-precision",
  "speed",
] as const;
export type Section = (typeof sections)[number];

const shape = {
  /** Sections to run. */
  only: list(z.enum(sections)).default([...sections]),
  /** Shares of the parameters to remove. */
  ratios: list(z.coerce.number<string>().gt(0).lt(0.9)).default([0.05, 0.1, 0.2, 0.3]),
  methods: list(z.enum(METHODS)).default([...METHODS]),
  /** Tokens of recovery, every model the same. */
  tokens: whole.min(1024).default(8192),
  /** Of recovery by the clock, in the section `minutes`. */
  minutes: z.coerce.number<string>().min(1).default(10),
  /** Chunks of 512 tokens of evaluation text. */
  chunks: whole.min(2).default(40),
};

/** What a run of the bench does. */
export type Options = z.output<z.ZodObject<typeof shape>>;

/** The command line, checked as a whole. @throws UserError with every problem */
export function parseOptions(args: string[]): Options {
  return readOptions("bench:compression", shape, args);
}
