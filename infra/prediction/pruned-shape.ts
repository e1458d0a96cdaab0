import { UserError } from "../../common/user-error.ts";
import {
  attentionBiases,
  attentionParameters,
  blockParameters,
  parameterCount,
  type ModelShape,
} from "./shape.ts";

/** The parameters of the stage `prune` that its result's shape follows from. */
export interface Pruning {
  method: string;
  pruningRatio: number;
  ffnWidths?: "uniform" | "per-layer";
}

/** As in models/pipress/pruning: rows that take k-quants, rows that take any type, and how near. */
const K_QUANT_ROW = 256;
const BLOCK_ROW = 32;
const TOLERANCE = 0.2;

/** Fewer blocks than this are no transformer any more. */
const FEWEST_LAYERS = 2;

/**
 * The shape that pruning leaves, by the rules of `models/pipress/pruning`. `mixed` searches among combinations of one
 * budget: it is taken as if all of it came off the FFN.
 * @throws UserError when no shape removes that much
 */
export function prunedShape(shape: ModelShape, { method, pruningRatio }: Pruning): ModelShape {
  const wanted = pruningRatio * parameterCount(shape);
  if (method === "block-influence" || method === "angular-distance") {
    const blocks = roundHalfEven(wanted / blockParameters(shape));
    if (blocks < 1 || blocks > shape.layers - FEWEST_LAYERS)
      throw notPossible(pruningRatio, `dropping ${blocks} of ${shape.layers} blocks`);
    return { ...shape, layers: shape.layers - blocks };
  }
  if (method === "attention-groups") return fewerHeads(shape, wanted, pruningRatio);
  return { ...shape, ffnSize: ffnWidth(shape, wanted, pruningRatio) };
}

/** The nearest number of key-value heads, with their query heads, that still loads. */
function fewerHeads(shape: ModelShape, wanted: number, share: number): ModelShape {
  const perGroup = ((attentionParameters(shape) + attentionBiases(shape)) / shape.kvHeads) * shape.layers;
  const options = Array.from({ length: shape.kvHeads - 1 }, (_, index) => index + 1)
    .map((kvHeads) => ({ ...shape, kvHeads, heads: (shape.heads / shape.kvHeads) * kvHeads }))
    .filter(({ heads }) => !dividesHidden(shape) || shape.hiddenSize % heads === 0);
  const distance = ({ kvHeads }: ModelShape): number =>
    Math.abs((shape.kvHeads - kvHeads) * perGroup - wanted);
  const [nearest] = options.sort((a, b) => distance(a) - distance(b));
  if (nearest !== undefined && distance(nearest) <= perGroup / 2) return nearest;
  throw notPossible(share, `no whole number of the ${shape.kvHeads} key-value heads that loads`);
}

/** Transformers refuses a Llama whose hidden size is no multiple of its heads. */
function dividesHidden({ architecture = "LlamaForCausalLM" }: ModelShape): boolean {
  return architecture === "LlamaForCausalLM" || architecture === "MistralForCausalLM";
}

/** `narrower`: a multiple of 256 where one is near, else of 32. */
function ffnWidth(shape: ModelShape, wantedParameters: number, share: number): number {
  const width = shape.ffnSize;
  const wanted = width - wantedParameters / (3 * shape.hiddenSize * shape.layers);
  for (const step of [K_QUANT_ROW, BLOCK_ROW]) {
    const nearest = roundHalfEven(wanted / step) * step;
    const isClose = Math.abs(nearest - wanted) <= TOLERANCE * (width - wanted);
    if (step <= nearest && nearest < width && (isClose || step === BLOCK_ROW)) return nearest;
  }
  throw notPossible(share, `an FFN width of ${wanted.toFixed(0)} (it is ${width})`);
}

/** As Python rounds, so that both sides find the same number. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

function notPossible(share: number, means: string): UserError {
  return new UserError({
    where: "recipe: steps.prune.pruningRatio",
    what: `removing ${(100 * share).toFixed(0)} % of the parameters would mean ${means}`,
    remedy: "remove another share, or take another method",
  });
}
