import { formatted } from "../../infra/recipe/generate-types.ts";
import { fitBoard } from "./fit.ts";
import { boardFile, otherBoardsFile, readMeasuredRows } from "./rows.ts";

/** The fitted constants, from the root of the repository. */
export const generatedBoard = "infra/prediction/board.generated.ts";

/** What that file should hold: `npm run generate` writes it. */
export async function generateBoard(): Promise<string> {
  const board = fitBoard([boardFile, otherBoardsFile].flatMap(readMeasuredRows));
  const fourDigits = (_: string, value: unknown): unknown =>
    typeof value === "number" ? Number(value.toPrecision(4)) : value;
  const text = [
    "// Fitted by bench/speed-model on the rows of bench/published/ with `npm run generate`; change those instead.",
    'import type { Board } from "./board.ts";',
    "",
    `export const fittedBoard: Board = ${JSON.stringify(board, fourDigits)};`,
  ].join("\n");
  return formatted(generatedBoard, text);
}
