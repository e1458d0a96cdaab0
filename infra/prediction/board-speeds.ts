import { fittedBoard } from "./board.generated.ts";
import type { MeasuredRow } from "./measured-rows.ts";
import { generationSpeed, generationWork, promptSpeed, promptWork } from "./speed.ts";
import { areAlike, type MultipliedWeights } from "./weights.ts";

/** What a speed rests on: a model alone, a model fitted to some rows of one host's board, or a measurement of just that. */
export type SpeedBasis =
  { kind: "predicted" } | { kind: "scaled"; host: string; rows: number } | { kind: "measured"; host: string };

/** Tokens per second, and what they rest on. */
export interface TokenSpeed {
  tokensPerSecond: number;
  basis: SpeedBasis;
}

/** How fast the boards of a fleet are with a model, at the start of a context. */
export interface BoardSpeeds {
  generation: (weights: MultipliedWeights) => TokenSpeed;
  /** Of a prompt of 512 tokens. */
  prompt: (weights: MultipliedWeights) => TokenSpeed;
}

/** What a Raspberry Pi 4 that nobody has measured does. */
const models = {
  generation: (weights: MultipliedWeights): number =>
    generationSpeed(generationWork(weights), fittedBoard.generation),
  prompt: (weights: MultipliedWeights): number => promptSpeed(promptWork(weights), fittedBoard.prompt),
};

/**
 * The speeds of a fleet of which some boards were measured: those of the slowest of them. On each, a model that was measured
 * itself has the speed of its last row; another has the predicted speed times the geometric mean of what was measured over what
 * is predicted, over all rows of the board.
 */
export function speedsOf(rows: readonly MeasuredRow[]): BoardSpeeds {
  const hosts = [...new Set(rows.map(({ host }) => host))];
  const slowest = (kind: keyof BoardSpeeds, weights: MultipliedWeights): TokenSpeed => {
    const onEach = hosts.map((name) => {
      const own = rows.filter(({ host }) => host === name);
      return speedOn(name, own, kind, weights);
    });
    const unmeasured: TokenSpeed = { tokensPerSecond: models[kind](weights), basis: { kind: "predicted" } };
    return onEach.sort((a, b) => a.tokensPerSecond - b.tokensPerSecond)[0] ?? unmeasured;
  };
  return {
    generation: (weights) => slowest("generation", weights),
    prompt: (weights) => slowest("prompt", weights),
  };
}

/** The speeds of boards that nobody has measured. */
export const predictedSpeeds = speedsOf([]);

function speedOn(
  host: string,
  rows: readonly MeasuredRow[],
  kind: keyof BoardSpeeds,
  weights: MultipliedWeights,
): TokenSpeed {
  const same = rows.filter((row) => areAlike(row.weights, weights)).at(-1);
  if (same !== undefined) return { tokensPerSecond: same[kind], basis: { kind: "measured", host } };
  const logs = rows.map((row) => Math.log(row[kind] / models[kind](row.weights)));
  const scale = Math.exp(logs.reduce((total, log) => total + log, 0) / logs.length);
  return {
    tokensPerSecond: scale * models[kind](weights),
    basis: { kind: "scaled", host, rows: rows.length },
  };
}

/** `measured on pi-1`, `predicted, scaled by what was measured on 3 rows of pi-1`, `predicted: …`. */
export function describeBasis(basis: SpeedBasis): string {
  switch (basis.kind) {
    case "measured":
      return `measured on ${basis.host}`;
    case "scaled": {
      const rows = basis.rows === 1 ? "1 row" : `${basis.rows} rows`;
      return `predicted, scaled by what was measured on ${rows} of ${basis.host}`;
    }
    case "predicted":
      return "a model, not a measurement";
  }
}
