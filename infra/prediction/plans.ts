import { formatBytes } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { BoardSpeeds } from "./board-speeds.ts";
import { serverMemory, type CacheSettings } from "./memory.ts";
import { predictRelease, type ReleasePrediction } from "./predict.ts";
import { prunedShape, type Pruning } from "./pruned-shape.ts";
import { divergence, expectedLoss, MEASURED_SHARE, measuredMethods } from "./quality.ts";
import type { QuantizeType } from "./quantize-types.ts";
import { parameterCount, type ModelShape } from "./shape.ts";
import { formatSpeed } from "./speed.ts";
import { standardTypes } from "./standard-types.ts";

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

/** A way to make a release: how it is pruned, if it is, and into what it is quantized. */
export interface CandidatePlan {
  type: QuantizeType;
  pruning: Pruning | undefined;
  release: ReleasePrediction;
  /** Expected, in nats per token. */
  loss: number;
}

/** How a plan may be made: what stays as it is in the recipe. */
export interface PlanFrame {
  imatrix: boolean;
  recovers: boolean;
  server: CacheSettings;
  boards: BoardSpeeds;
}

/** The frame that a recipe and a fleet give. */
export function frameOf(
  { steps: { recover, imatrix } }: Recipe,
  server: CacheSettings,
  boards: BoardSpeeds,
): PlanFrame {
  return { imatrix: imatrix !== undefined, recovers: recover !== undefined, server, boards };
}

/**
 * Methods that are proposed. What `mixed` finds has a shape, and with it a size and a speed, that nobody knows before it has
 * searched.
 */
const proposed = measuredMethods.filter((method) => method !== "mixed");
/** Shares that are tried, in steps of 1 %. What more costs was not measured; a smaller model is the better way there. */
const shares = Array.from({ length: 100 * MEASURED_SHARE }, (_, index) => (index + 1) / 100);

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
 * The plan that meets the limits at the least expected loss, of all methods, shares and those types whose loss is known.
 * @returns undefined when none does
 */
export function bestPlan(base: ModelShape, frame: PlanFrame, limits: Limits): CandidatePlan | undefined {
  const types = standardTypes(frame.imatrix).filter((type) => divergence[type] !== undefined);
  const plans = candidateShapes(base).flatMap(({ shape, prunings }) =>
    types.flatMap((type) =>
      prunings.map((pruning) => {
        const loss = lossOf(base, shape, type, pruning && { ...pruning, reconstruct: true }, frame.recovers);
        return { shape, type, pruning, loss };
      }),
    ),
  );
  // A loss is looked up; a release is worked out tensor by tensor. So only the best plans' are, until one meets the limits.
  for (const { shape, ...plan } of plans.sort((a, b) => a.loss - b.loss)) {
    const quantization = { type: plan.type, imatrix: frame.imatrix };
    const release = predictRelease(shape, quantization, frame.server, frame.boards);
    if (meets(shape, release, limits)) return { ...plan, release };
  }
  return undefined;
}

/** Expected loss of a model of one shape and type, in nats per token; infinite where nothing is known of the type. */
export function lossOf(
  base: ModelShape,
  shape: ModelShape,
  type: QuantizeType,
  pruning: (Pruning & { reconstruct?: boolean }) | undefined,
  recovers: boolean,
): number {
  const removed = 1 - parameterCount(shape) / parameterCount(base);
  const refitted = pruning?.reconstruct !== false;
  return expectedLoss(type, pruning && { method: pruning.method, refitted, removed, recovers });
}

/** Every shape that can be had, with the prunings that lead to it: methods differ in what is lost, seldom in what is left. */
function candidateShapes(base: ModelShape): { shape: ModelShape; prunings: (Pruning | undefined)[] }[] {
  const candidates = new Map([
    [JSON.stringify(base), { shape: base, prunings: [undefined] as (Pruning | undefined)[] }],
  ]);
  for (const method of proposed)
    for (const pruningRatio of shares) {
      const pruning = { method, pruningRatio };
      const shape = shapeAfter(base, pruning);
      if (shape === undefined) continue;
      const key = JSON.stringify(shape);
      const { prunings } = candidates.get(key) ?? { prunings: [] };
      // The first share of several that come to the same.
      if (!prunings.some((known) => known?.method === method))
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
export function describeCandidate({ type, pruning, release }: CandidatePlan): string {
  const prune =
    pruning === undefined
      ? "no pruning"
      : `prune: { method: ${pruning.method}, pruningRatio: ${pruning.pruningRatio} }`;
  return (
    `${prune}, quantize.type: ${type} ` +
    `(${formatBytes(release.fileBytes)}, ${formatBytes(release.memoryBytes)} of memory, ` +
    `about ${formatSpeed(release.tokensPerSecond)} tokens/s)`
  );
}
