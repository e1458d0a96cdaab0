import { formatBytes } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { layoutOf, takesWidths } from "../recipe/layouts.ts";
import { perLayerMethod } from "../recipe/prune-problems.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { BoardSpeeds } from "./board-speeds.ts";
import { serverMemory, type CacheSettings } from "./memory.ts";
import { predictRelease, type ReleasePrediction } from "./predict.ts";
import { isQuantized } from "./block-types.ts";
import { fileBytes } from "./file-size.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import {
  controls,
  differenceError,
  expectedLoss,
  MEASURED_SHARE,
  measuredMethods,
  total,
  type Loss,
} from "./quality.ts";
import { startingTypes, typesOf, type Quantization, type QuantizeType } from "./quantize-types.ts";
import { parameterCount, type ModelShape } from "./shape.ts";
import { formatSpeed } from "./speed.ts";
import { standardTypes } from "./standard-types.ts";
import { blockTypeLoss, interpolatedTypes, typeLoss } from "./type-losses.ts";

/** What a release must meet, sizes in bytes; what is left out does not matter. */
export interface Limits {
  fileBytes?: number | undefined;
  memory?: readonly MemoryLimit[];
  tokensPerSecond?: number | undefined;
}

/** The most memory that llama-server may take, started in one way. */
export interface MemoryLimit {
  server: CacheSettings;
  bytes: number;
}

/** A way to make a model, and what it is expected to lose. */
export interface Plan {
  shape: ModelShape;
  quantization: Quantization;
  pruning: (Pruning & { reconstruct?: boolean }) | undefined;
  /** Recovery trains the weights for just this type. */
  aware: boolean;
  loss: Loss;
}

/** A plan whose release meets what was asked of it. */
export interface CandidatePlan extends Plan {
  release: ReleasePrediction;
}

/** How a plan may be made: what stays as it is in the recipe. */
export interface PlanFrame {
  imatrix: boolean;
  recovers: boolean;
  /** Whether recovery may know its type, or does in the recipe. */
  awareness: readonly boolean[];
  server: CacheSettings;
  boards: BoardSpeeds;
}

/** The frame that a recipe and a fleet give. Recovery that knows its type is proposed where the recipe recovers anyway. */
export function frameOf(
  { steps: { recover, imatrix, awq } }: Recipe,
  server: CacheSettings,
  boards: BoardSpeeds,
): PlanFrame {
  const possible = recover !== undefined && !awq && recover.fullLayers === 0 && !recover.lmHead;
  const awareness = recover?.quantizationAware === true ? [true] : possible ? [false, true] : [false];
  return { imatrix: imatrix !== undefined, recovers: recover !== undefined, awareness, server, boards };
}

/**
 * Methods that are proposed. What `mixed` finds has a shape, and with it a size and a speed, that nobody knows before it has
 * searched.
 */
const proposed: readonly Omit<Pruning, "pruningRatio">[] = [
  ...measuredMethods
    .filter((method) => method !== "mixed" && !controls.includes(method))
    .map((method) => ({ method })),
  { method: perLayerMethod, ffnWidths: "per-layer" },
];
/** Shares that are tried, in steps of 1 %. What more costs was not measured; a smaller model is the better way there. */
const shares = Array.from({ length: 100 * MEASURED_SHARE }, (_, index) => (index + 1) / 100);

/** Types that are proposed: those of which something was published. */
export function proposedTypes(imatrix: boolean): QuantizeType[] {
  return standardTypes(imatrix).filter((type) => !interpolatedTypes.includes(type));
}

/** Whether a release of a model of that shape meets its limits. */
export function meets(shape: ModelShape, release: ReleasePrediction, limits: Limits): boolean {
  const { fileBytes = Infinity, tokensPerSecond = 0, memory = [] } = limits;
  return (
    release.fileBytes <= fileBytes &&
    release.tokensPerSecond >= tokensPerSecond &&
    memory.every(({ server, bytes }) => serverMemory(shape, release.fileBytes, server) <= bytes)
  );
}

/**
 * The plan that meets the limits at the least expected loss, of all methods, shares and types of which something is known.
 * @returns undefined when none does
 */
export function bestPlan(base: ModelShape, frame: PlanFrame, limits: Limits): CandidatePlan | undefined {
  const meeting = whatMeets(frame, limits);
  for (const plan of plansByLoss(base, frame)) {
    const candidate = meeting(plan);
    if (candidate) return candidate;
  }
  return undefined;
}

/**
 * The plan that meets the limits at the least expected loss, of those that are known to lose less than `own`.
 * @returns undefined when none is known to
 */
export function betterPlan(
  base: ModelShape,
  own: Plan,
  frame: PlanFrame,
  limits: Limits,
): CandidatePlan | undefined {
  const meeting = whatMeets(frame, limits);
  for (const plan of plansByLoss(base, frame)) {
    if (total(plan.loss) >= total(own.loss)) return undefined;
    const candidate = meeting(plan);
    if (candidate && isKnownToLoseLess(candidate, own)) return candidate;
  }
  return undefined;
}

/** Standard errors that a difference has to have: with two, one of forty such claims is wrong. */
const KNOWN_ERRORS = 2;

function isKnownToLoseLess(plan: Plan, own: Plan): boolean {
  return total(own.loss) - total(plan.loss) > KNOWN_ERRORS * errorBetween(plan, own);
}

/** Standard error of the difference between two plans' expected losses, in nats per token. */
export function errorBetween(one: Plan, other: Plan): number {
  const differing = one.aware === other.aware ? differingShare(one, other) : 1;
  return differenceError(one.loss, other.loss, differing, isSameWay(one.pruning, other.pruning));
}

function isPerLayer(pruning: Pruning | undefined): boolean {
  return pruning?.ffnWidths === "per-layer";
}

/** Whether two differ in nothing but how much they remove. */
function isSameWay(one: Pruning | undefined, other: Pruning | undefined): boolean {
  return one?.method === other?.method && isPerLayer(one) === isPerLayer(other);
}

/** Share of the weights that two plans store in different types; all of them, where the shapes differ in tensors. */
function differingShare(one: Plan, other: Plan): number {
  const others = new Map(
    typesOf(other.shape, other.quantization).map(([{ name }, type]) => [name, type] as const),
  );
  const weights = typesOf(one.shape, one.quantization).map(([{ name, rows, columns }, type]) => ({
    count: rows * columns,
    differs: others.get(name) !== type,
  }));
  const count = (those: typeof weights): number => those.reduce((sum, weight) => sum + weight.count, 0);
  return count(weights.filter(({ differs }) => differs)) / count(weights);
}

/** Every plan that is proposed, the one of least expected loss first. */
function plansByLoss(base: ModelShape, frame: PlanFrame): Plan[] {
  const types = proposedTypes(frame.imatrix).flatMap((type) => {
    // A type that rounds nothing leaves nothing to know.
    const awareness = isQuantized(startingTypes[type]) ? frame.awareness : [false];
    return awareness.map((aware) => ({ quantization: { type, imatrix: frame.imatrix }, aware }));
  });
  const lossOf = lossesOf(base, frame.recovers);
  return candidateShapes(base)
    .flatMap(({ shape, prunings }) =>
      prunings.flatMap((pruning) => types.map((quantized) => lossOf({ shape, pruning, ...quantized }))),
    )
    .sort((a, b) => total(a.loss) - total(b.loss));
}

/**
 * Gives a plan its release, where that meets the limits. A loss is looked up; a release is worked out tensor by tensor, so once
 * for all plans of the same shape and type, and only for those that are asked for.
 */
function whatMeets(frame: PlanFrame, limits: Limits): (plan: Plan) => CandidatePlan | undefined {
  const known = new Map<ModelShape, Map<QuantizeType, ReleasePrediction>>();
  return (plan) => {
    const { shape, quantization } = plan;
    const ofShape = known.get(shape) ?? new Map<QuantizeType, ReleasePrediction>();
    known.set(shape, ofShape);
    const release =
      ofShape.get(quantization.type) ?? predictRelease(shape, quantization, frame.server, frame.boards);
    ofShape.set(quantization.type, release);
    return meets(shape, release, limits) ? { ...plan, release } : undefined;
  };
}

/** Adds to a plan of a base model what it is expected to lose. */
export function lossesOf(base: ModelShape, recovers: boolean): (plan: Omit<Plan, "loss">) => Plan {
  const parameters = parameterCount(base);
  const bits = new Map<string, number>();
  return (plan) => {
    const { shape, pruning, quantization, aware } = plan;
    const { type, imatrix } = quantization;
    // Of the unpruned model, which is near enough: it moves the factor of awareness a little.
    const bitsPerWeight = bits.get(type) ?? (8 * fileBytes(base, { type, imatrix })) / parameters;
    bits.set(type, bitsPerWeight);
    const removed = 1 - parameterCount(shape) / parameters;
    const refitted = pruning?.reconstruct !== false;
    const pruned = pruning && {
      method: pruning.method,
      perLayer: isPerLayer(pruning),
      refitted,
      removed,
      recovers,
    };
    const loss = expectedLoss({ type, imatrix, aware, bitsPerWeight, parameters }, pruned);
    return { ...plan, loss: withOverrides(loss, plan) };
  };
}

/**
 * Tensors of other types than the standard one's: each is taken to change the loss by its share of the weights times what the
 * two types lose apart, with an error as large as the change. Nothing is published of such mixes.
 */
function withOverrides(loss: Loss, { shape, quantization }: Omit<Plan, "loss">): Loss {
  const { type, imatrix, overrides, outputType, embeddingType } = quantization;
  if (loss.quantizing === 0 || !(overrides?.length || outputType || embeddingType)) return loss;
  const standard = typesOf(shape, { type, imatrix });
  const lossOf = (block: (typeof standard)[number][1]): number => blockTypeLoss(block, imatrix);
  const weights = standard.map(([{ rows, columns }]) => rows * columns);
  const all = weights.reduce((sum, count) => sum + count, 0);
  const change = typesOf(shape, quantization)
    .map(([, block], index) => {
      const before = standard[index]?.[1] ?? block;
      return ((weights[index] ?? 0) / all) * (lossOf(block) - lossOf(before));
    })
    .reduce((sum, share) => sum + share, 0);
  const scale = loss.quantizing / typeLoss(type, imatrix).nats;
  const quantizing = Math.max(0, loss.quantizing + scale * change);
  return { ...loss, quantizing, measured: Math.hypot(loss.measured, scale * change) };
}

/** Every shape that can be had, with the prunings that lead to it: methods differ in what is lost, seldom in what is left. */
function candidateShapes(base: ModelShape): { shape: ModelShape; prunings: (Pruning | undefined)[] }[] {
  const candidates = new Map([
    [JSON.stringify(base), { shape: base, prunings: [undefined] as (Pruning | undefined)[] }],
  ]);
  const { architecture } = base;
  const possible = layoutOf(architecture) === undefined ? [] : proposed;
  for (const how of possible.filter((each) => !isPerLayer(each as Pruning) || takesWidths(architecture)))
    for (const pruningRatio of shares) {
      const pruning = { ...how, pruningRatio };
      const shape = shapeAfter(base, pruning);
      if (shape === undefined) continue;
      const key = JSON.stringify(shape);
      const { prunings } = candidates.get(key) ?? { prunings: [] };
      // The first share of several that come to the same.
      if (!prunings.some((known) => isSameWay(known, pruning)))
        candidates.set(key, { shape, prunings: [...prunings, pruning] });
    }
  return [...candidates.values()];
}

function shapeAfter(base: ModelShape, pruning: Pruning): ModelShape | undefined {
  try {
    return prunedShape(base, pruning);
  } catch (error) {
    if (error instanceof UserError) return undefined; // no shape removes just that much
    throw error;
  }
}

/** A plan in the words of a recipe, and what it is predicted to cost. */
export function describeCandidate({ quantization, pruning, aware, release }: CandidatePlan): string {
  const widths = isPerLayer(pruning) ? ", ffnWidths: per-layer" : "";
  const prune =
    pruning === undefined
      ? "no pruning"
      : `prune: { method: ${pruning.method}${widths}, pruningRatio: ${pruning.pruningRatio} }`;
  const recover = aware ? ", recover.quantizationAware: true" : "";
  return (
    `${prune}${recover}, quantize.type: ${quantization.type} ` +
    `(${formatBytes(release.fileBytes)}, ${formatBytes(release.memoryBytes)} of memory, ` +
    `about ${formatSpeed(release.tokensPerSecond)} tokens/s)`
  );
}
