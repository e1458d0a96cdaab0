// Fitted by bench/speed-model on the rows of bench/published/ with `npm run generate`; change those instead.
import type { Board } from "./board.ts";

export const fittedBoard: Board = {
  generation: { bytesPerSecond: 3549000000, cycleFactor: 0.9834, secondsPerLayer: 0.000399 },
  prompt: {
    cycleFactor: 0.6448,
    cyclesPerWeight: 0.2466,
    cyclesPerPlainWeight: 1.054,
    cyclesPerAttention: 3.508,
  },
};
