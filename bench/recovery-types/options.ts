import { z } from "zod";
import { startingTypes } from "../../infra/prediction/quantize-types.ts";
import { list, readOptions, whole } from "../options.ts";
import { PRUNED } from "./cases.ts";

const shape = {
  /** What is measured: `types` takes an hour, `pruned` more. */
  only: list(z.enum(["types", "pruned"])).default(["types"]),
  /** Types to train for: three sizes between 2.5 and 4.3 bits a weight. */
  types: list(z.string().refine((type) => type in startingTypes, "is no type of llama-quantize")).default([
    "IQ2_S",
    "IQ3_XXS",
    "IQ3_S",
  ]),
  /** Unpruned types at whose sizes pruned models are set beside them. */
  pruned: list(
    z.string().refine((type) => type in PRUNED, `is none of ${Object.keys(PRUNED).join(", ")}`),
  ).default(Object.keys(PRUNED)),
  /** Tokens of recovery: fewer than ten minutes on two free cores are good for. */
  tokens: whole.min(1024).default(65536),
  /** Chunks of 512 tokens of evaluation text. */
  chunks: whole.min(2).default(40),
};

/** What a run of the bench does. */
export type Options = z.output<z.ZodObject<typeof shape>>;

/** The command line, checked as a whole. @throws UserError with every problem */
export function parseOptions(args: string[]): Options {
  return readOptions("bench:recovery-types", shape, args);
}
