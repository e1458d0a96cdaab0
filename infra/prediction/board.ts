/**
 * A Raspberry Pi 4B with four threads, as llama.cpp finds it: a roofline (Williams, Waterman and Patterson,
 * doi:10.1145/1498765.1498785) whose constants are fitted on measured rows, see bench/speed-model.
 */
export interface Board {
  /** Generation: a tensor takes as long as its bytes or its cycles, whichever is longer, and a layer has its own work. */
  generation: {
    bytesPerSecond: number;
    /** Seconds of a counted cycle over those that it takes at 1.5 GHz on four cores. */
    cycleFactor: number;
    secondsPerLayer: number;
  };
  /**
   * A prompt: the counted cycles, and others for each weight and for each product of attention. All at 1.5 GHz on four
   * cores.
   */
  prompt: {
    cycleFactor: number;
    cyclesPerWeight: number;
    /** In place of both, for weights that are plain numbers. */
    cyclesPerPlainWeight: number;
    /** Cycles of one product of a query with a key, or of a weight with a value. */
    cyclesPerAttention: number;
  };
}

/** Cycles of four cores at 1.5 GHz in a second. */
export const CYCLES_PER_SECOND = 6e9;
