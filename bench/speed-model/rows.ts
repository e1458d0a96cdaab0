import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { UserError } from "../../common/user-error.ts";
import { startingTypes, type QuantizeType } from "../../infra/prediction/quantize-types.ts";
import { parameterCount, shapeOfConfig, type ModelShape } from "../../infra/prediction/shape.ts";
import models from "../published/models.json" with { type: "json" };

/** Where measured rows and the shapes of their models are. */
const published = join(repoRoot, "bench", "published");
/** llama-bench on one Raspberry Pi 4B: github.com/sensura-san/llm-bench, results of 2025-11-21 and -22. */
export const boardFile = join(published, "raspberry-pi-4b.csv");
/** What others reported of their boards, one figure each: so that the model is held to large files too. */
export const otherBoardsFile = join(published, "other-boards.csv");

/** A model in a type, and how fast llama-bench found it on a Raspberry Pi 4 with four threads. */
export interface MeasuredRow {
  model: string;
  type: QuantizeType;
  shape: ModelShape;
  /** Where the row says it. */
  fileBytes?: number;
  /** Tokens per second of a prompt of 512 tokens. */
  prompt?: number;
  /** Tokens per second of an answer of 128 tokens. */
  generation: number;
}

/** How far the parameters of a row may be from those of the shape under its model's name: norms and biases are not counted. */
const TOLERANCE = 0.01;

/**
 * Reads a CSV with the columns `model`, `type`, `parameters`, `file_bytes`, `pp512` and `tg128`, in any order; others are passed over.
 * @throws UserError for a model whose shape is not in bench/published/models.json, a type that is unknown, no number
 */
export function readMeasuredRows(file: string): MeasuredRow[] {
  const [head = "", ...lines] = readFileSync(file, "utf8").trim().split(/\r?\n/);
  const columns = head.split(",");
  return lines.map((line, index) => {
    const cells = line.split(",");
    const where = `${file} line ${index + 2}`;
    const cell = (column: string): string => cells[columns.indexOf(column)] ?? "";
    const number = (column: string): number => {
      const value = Number(cell(column));
      if (cell(column) === "" || !(value > 0))
        throw new UserError({ where, what: `${column} is no number above 0` });
      return value;
    };
    const [model, type] = [cell("model"), cell("type")];
    if (!(type in startingTypes))
      throw new UserError({ where, what: `"${type}" is no type of llama-quantize` });
    return {
      ...{ model, type: type as QuantizeType, shape: shapeOf(model, number("parameters"), where) },
      ...(cell("file_bytes") !== "" && { fileBytes: number("file_bytes") }),
      ...(cell("pp512") !== "" && { prompt: number("pp512") }),
      generation: number("tg128"),
    };
  });
}

/** The shape of a model by its name; its number of parameters says whether the file has an output matrix of its own. */
function shapeOf(model: string, parameters: number, where: string): ModelShape {
  const config = (models as Record<string, Parameters<typeof shapeOfConfig>[0]>)[model];
  const shapes = config ? [true, false].map((tied) => ({ ...shapeOfConfig(config), tied })) : [];
  const shape = shapes.find((shape) => Math.abs(parameterCount(shape) / parameters - 1) < TOLERANCE);
  if (shape !== undefined) return shape;
  throw new UserError({
    where,
    what: config
      ? `${model} has ${parameters} parameters here, but its shape in bench/published/models.json has not`
      : `bench/published/models.json has no shape of "${model}"`,
    remedy: "give it the values of the model's config.json there",
  });
}
