import { resolve } from "node:path";
import { z } from "zod";
import { fittedBoard } from "../../infra/prediction/board.generated.ts";
import { readOptions } from "../options.ts";
import { fitGeneration, generationErrors, promptErrors, type Errors } from "./fit.ts";
import { boardFile, readMeasuredRows } from "./rows.ts";

/**
 * `npm run bench:speed-model [-- --data FILE]`: holds the predicted speeds against rows of llama-bench on a Raspberry Pi 4.
 * Without a file it takes those of the repository, on which the model was fitted. How generation does on a model that it
 * was not fitted on is told, too; of prompts, one model alone does not tell attention from the rest.
 */
export function main(args: string[]): Promise<number> {
  const { data } = readOptions("bench:speed-model", { data: z.string().default(boardFile) }, args);
  const board = readMeasuredRows(boardFile);
  for (const model of new Set(board.map((row) => row.model))) {
    const [own, others] = [true, false].map((is) => board.filter((row) => (row.model === model) === is));
    const errors = generationErrors(own ?? [], fitGeneration(others ?? []));
    console.log(`${model}, by what was fitted on the other model: generation: ${describe(errors)}`);
  }
  const rows = readMeasuredRows(resolve(process.env.INIT_CWD ?? "", data));
  const generation = describe(generationErrors(rows, fittedBoard.generation));
  console.log(`generation: ${generation}; prompt: ${describe(promptErrors(rows, fittedBoard.prompt))}`);
  return Promise.resolve(0);
}

function describe({ rms, worst }: Errors): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  return `${percent(rms)} RMS, ${percent(worst)} at worst`;
}
