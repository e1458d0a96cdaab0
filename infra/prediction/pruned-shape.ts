import { UserError } from "../errors/user-error.ts";
import { attentionParameters, blockParameters, parameterCount, type ModelShape } from "./shape.ts";

/** The parameters of the stage `prune` that its result's shape follows from. */
export interface Pruning {
  method: string;
  parametersRemoved: number;
}

/** As in models/pipress/pruning/ffn_activation.py: rows that take k-quants, rows that take any type, and how near. */
const K_QUANT_ROW = 256;
const BLOCK_ROW = 32;
const TOLERANCE = 0.2;

/**
 * The shape that pruning leaves, by the rules of `models/pipress/pruning`. Methods that remove several kinds of things
 * under one budget are taken as if all of it came off the FFN.
 * @throws UserError when no shape removes that much
 */
export function prunedShape(shape: ModelShape, { method, parametersRemoved }: Pruning): ModelShape {
  const wanted = parametersRemoved * parameterCount(shape);
  if (method === "block-influence" || method === "angular-distance") {
    const blocks = Math.max(1, roundHalfEven(wanted / blockParameters(shape)));
    if (blocks >= shape.layers) throw tooMuch(parametersRemoved, `all ${shape.layers} blocks`);
    return { ...shape, layers: shape.layers - blocks };
  }
  if (method === "attention-groups") {
    const perGroup = (attentionParameters(shape) / shape.kvHeads) * shape.layers;
    const groups = Math.max(1, roundHalfEven(wanted / perGroup));
    if (groups >= shape.kvHeads) throw tooMuch(parametersRemoved, `all ${shape.kvHeads} attention groups`);
    const kvHeads = shape.kvHeads - groups;
    return { ...shape, kvHeads, heads: (shape.heads / shape.kvHeads) * kvHeads };
  }
  return { ...shape, ffnSize: ffnWidth(shape, wanted, parametersRemoved) };
}

/** `plan_width`: a multiple of 256 where one is near, else of 32. */
function ffnWidth(shape: ModelShape, wantedParameters: number, share: number): number {
  const width = shape.ffnSize;
  const wanted = width - wantedParameters / (3 * shape.hiddenSize * shape.layers);
  for (const step of [K_QUANT_ROW, BLOCK_ROW]) {
    const nearest = roundHalfEven(wanted / step) * step;
    const isClose = Math.abs(nearest - wanted) <= TOLERANCE * (width - wanted);
    if (step <= nearest && nearest < width && (isClose || step === BLOCK_ROW)) return nearest;
  }
  throw tooMuch(share, `an FFN width of ${wanted.toFixed(0)} (it is ${width})`);
}

/** As Python rounds, so that both sides find the same number. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function tooMuch(share: number, means: string): UserError {
  return new UserError({
    where: "recipe: steps.prune.parametersRemoved",
    what: `removing ${(100 * share).toFixed(0)} % of the parameters would mean ${means}`,
    remedy: "remove another share, or take another method",
  });
}
