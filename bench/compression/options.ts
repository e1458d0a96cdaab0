import { UserError, type Problem } from "../../common/user-error.ts";
import { list, readOptions } from "../options.ts";
import { METHODS } from "./methods.ts";
import { sections, type Section } from "./rows.ts";

/** What a run of the bench does. */
export interface Options {
  sections: readonly Section[];
  /** Shares of the parameters to remove. */
  ratios: readonly number[];
  methods: readonly string[];
  /** Tokens of recovery, every model the same. */
  tokens: number;
  /** Of recovery by the clock, in the section `minutes`. */
  minutes: number;
  /** Chunks of 512 tokens of evaluation text. */
  chunks: number;
}

const NAMES = ["only", "ratios", "methods", "tokens", "minutes", "chunks"] as const;
const RATIOS = [0.05, 0.1, 0.2, 0.3];
const TOKENS = 8192;
const MINUTES = 10;
const CHUNKS = 40;

/** The command line, checked as a whole. @throws UserError with every problem */
export function parseOptions(args: readonly string[]): Options {
  const problems: Problem[] = [];
  const refuse = (where: string, what: string, remedy: string): void => {
    problems.push({ where: `bench:compression ${where}`, what, remedy });
  };
  const values = readOptions("bench:compression", NAMES, args);
  const only = list(values.only) ?? [...sections];
  for (const name of only)
    if (!(sections as readonly string[]).includes(name))
      refuse("--only", `there is no section "${name}"`, `one or several of: ${sections.join(",")}`);
  const methods = list(values.methods) ?? METHODS;
  for (const name of methods)
    if (!METHODS.includes(name))
      refuse("--methods", `there is no method "${name}"`, `of: ${METHODS.join(",")}`);
  const ratios = list(values.ratios)?.map(Number) ?? RATIOS;
  if (!ratios.every((ratio) => ratio > 0 && ratio < 0.9))
    refuse(
      "--ratios",
      `cannot remove ${values.ratios ?? ""}`,
      "shares between 0 and 0.9, as in --ratios 0.1,0.2",
    );
  const number = (name: "tokens" | "minutes" | "chunks", usual: number, least: number): number => {
    const text = values[name] ?? String(usual);
    if (!(Number(text) >= least)) refuse(`--${name}`, `is ${text}`, `a number of at least ${String(least)}`);
    return Number(text);
  };
  const numbers = {
    tokens: number("tokens", TOKENS, 1024),
    minutes: number("minutes", MINUTES, 1),
    chunks: number("chunks", CHUNKS, 2),
  };
  if (problems.length > 0) throw new UserError(problems);
  return {
    sections: sections.filter((section) => only.includes(section)),
    ratios,
    methods,
    ...numbers,
  };
}
