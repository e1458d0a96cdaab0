import { isQuantized, storedBits, type BlockType } from "./block-types.ts";
import { startingTypes, type QuantizeType } from "./quantize-types.ts";

/** A figure in nats per token, and its standard error. */
export interface Nats {
  nats: number;
  error: number;
}

/** As published: KL divergence and its standard error, with an importance matrix and without one. */
interface Published {
  imatrix?: readonly [number, number];
  plain?: readonly [number, number];
}

/**
 * KL divergence from the unquantized Llama-3-8B on WikiText-2: the scoreboard in `tools/perplexity/README.md` of llama.cpp,
 * revision f364eb6f, read on 2026-11-30; importance matrices of 10M tokens of WikiText.
 */
export const published: Partial<Record<QuantizeType, Published>> = {
  Q8_0: { plain: [0.001355, 0.000006] },
  Q6_K: { plain: [0.005452, 0.000035] },
  Q5_K_M: { plain: [0.010762, 0.000079] },
  Q5_K_S: { plain: [0.016595, 0.000122] },
  Q5_1: { plain: [0.018045, 0.000139] },
  Q5_0: { plain: [0.022239, 0.000166] },
  Q4_K_M: { imatrix: [0.028152, 0.00024], plain: [0.031273, 0.000238] },
  Q4_K_S: { imatrix: [0.031951, 0.000259], plain: [0.043136, 0.000314] },
  IQ4_NL: { imatrix: [0.035742, 0.000288] },
  IQ4_XS: { imatrix: [0.036334, 0.000284] },
  Q4_1: { plain: [0.071683, 0.000505] },
  Q4_0: { plain: [0.07194, 0.000491] },
  Q3_K_L: { imatrix: [0.073077, 0.000529], plain: [0.087176, 0.000614] },
  Q3_K_M: { imatrix: [0.084358, 0.000588], plain: [0.101913, 0.000677] },
  IQ3_M: { imatrix: [0.102534, 0.000663] },
  IQ3_S: { imatrix: [0.111278, 0.00071] },
  IQ3_XS: { imatrix: [0.138693, 0.000857] },
  IQ3_XXS: { imatrix: [0.183625, 0.001042] },
  Q3_K_S: { imatrix: [0.199821, 0.001008], plain: [0.228217, 0.001079] },
  IQ2_M: { imatrix: [0.325989, 0.0016] },
  Q2_K: { imatrix: [0.332223, 0.001572], plain: [0.445132, 0.001835] },
  Q2_K_S: { imatrix: [0.40336, 0.001787] },
  IQ2_S: { imatrix: [0.439197, 0.001976] },
  IQ2_XS: { imatrix: [0.54629, 0.002133] },
  IQ2_XXS: { imatrix: [0.812022, 0.002741] },
  IQ1_M: { imatrix: [1.393084, 0.003529] },
  IQ1_S: { imatrix: [2.254554, 0.004868] },
};

/**
 * Types of which nothing is published for a model that was not trained for them. Their figure is an interpolation: a straight
 * line in bits a weight through the logarithms of IQ1_S, IQ1_M, IQ2_XXS and IQ2_XS. It flatters them, because they round to the
 * nearest of two to four values and those search; so it is a lower bound, and nothing is proposed for it.
 */
export const interpolatedTypes: readonly QuantizeType[] = ["TQ2_0", "TQ1_0", "Q2_0", "Q1_0"];
const neighbours: readonly QuantizeType[] = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS"];

/** KL divergence of Llama-3-8B in a type of llama-quantize; 0 where that stores plain numbers. */
export function typeLoss(type: QuantizeType, imatrix: boolean): Nats {
  if (!isQuantized(startingTypes[type])) return { nats: 0, error: 0 };
  // Its type is for experts: a model without them gets Q8_0 throughout.
  const known = published[type === "MXFP4_MOE" ? "Q8_0" : type];
  if (known === undefined) return interpolated(type);
  // Published without a matrix alone: five bits and more, where one changes little, and Q4_0 and Q4_1, which lose less with it.
  const figure = imatrix ? (known.imatrix ?? known.plain) : known.plain;
  if (figure !== undefined) return { nats: figure[0], error: figure[1] };
  const [nats = 0, error = 0] = known.imatrix ?? [];
  return { nats: nats * withoutMatrix.factor, error: Math.hypot(error, nats * withoutMatrix.error) };
}

/** What a type loses more without a matrix, where only figures with one are published: the mean of the six that have both. */
const withoutMatrix = ((): { factor: number; error: number } => {
  const ratios = Object.values(published).flatMap(({ imatrix, plain }) =>
    imatrix && plain ? [plain[0] / imatrix[0]] : [],
  );
  const factor = mean(ratios);
  return { factor, error: Math.sqrt(mean(ratios.map((ratio) => (ratio - factor) ** 2))) };
})();

function interpolated(type: QuantizeType): Nats {
  const points = neighbours.map((known) => ({
    bits: storedBits(startingTypes[known]),
    log: Math.log(published[known]?.imatrix?.[0] ?? NaN),
  }));
  const [bits, log] = [mean(points.map((point) => point.bits)), mean(points.map((point) => point.log))];
  const slope =
    mean(points.map((point) => (point.bits - bits) * (point.log - log))) /
    mean(points.map((point) => (point.bits - bits) ** 2));
  const nats = Math.exp(log + slope * (storedBits(startingTypes[type]) - bits));
  return { nats, error: nats };
}

/** Divergence of a model that is nearly all of one block type: that of the file type named after it; of MXFP4, Q4_0's. */
export function blockTypeLoss(type: BlockType, imatrix: boolean): number {
  const named = [`${type}_S`, type].find((name) => name in startingTypes) as QuantizeType | undefined;
  return typeLoss(named ?? "Q4_0", imatrix).nats;
}

function mean(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0) / values.length;
}
