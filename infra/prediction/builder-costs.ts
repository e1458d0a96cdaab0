/**
 * What stages cost on a builder, per core. Measured on the recipe smollm2-135m on two cores of a Xeon at 2.8 GHz that were
 * busy with other work: an upper bound there. For other models the figures are scaled by operations and bytes.
 */
export const builder = {
  /**
   * Floating-point operations per second and core in PyTorch and in llama.cpp: 3.5e12 in the 92 s of `prune`, 2.5e13 in the
   * 570 s of `recover`, 5.0e12 in the 84 s of `imatrix`, 2.8e12 in the 40 to 86 s of an evaluation.
   */
  flopsPerCore: 2.5e10,
  /** Weights per second and core that llama-quantize brings to Q4_K_M: 1.2e8 in 7.7 s. */
  quantizedWeightsPerCore: 8e6,
  /** Bytes of weights per second that one process reads, changes a little, and writes. */
  copiedBytesPerSecond: 1e8,
  /** Assumed: nobody can know a user's line. */
  downloadedBytesPerSecond: 2.5e7,
  /** Seconds until a stage of PyTorch or the converter has begun its work, and until one of llama.cpp has. */
  pythonStartSeconds: 20,
  llamaStartSeconds: 3,
};
