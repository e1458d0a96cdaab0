/** What stages cost on a builder, per core. For other models the figures are scaled by operations and bytes. */
export const builder = {
  /**
   * Floating-point operations per second and core in PyTorch and in llama.cpp. Of `prune` and `awq` at the width of Llama 3.1
   * 8B: 3.6e10 and 4.9e10 on an AMD EPYC at 2.4 GHz, 1.2e11 and 1.7e11 on a Xeon with AVX-512 (`npm run bench:8b`). Small
   * models keep a core less busy: 2.5e10 to 5e10 in `recover` on SmolLM2-135M.
   */
  flopsPerCore: 4e10,
  /** Weights per second and core that llama-quantize brings to Q4_K_M: 1.2e8 in 7.7 s on a Xeon at 2.8 GHz. */
  quantizedWeightsPerCore: 8e6,
  /** Bytes of weights per second that one process reads, changes a little, and writes. */
  copiedBytesPerSecond: 1e8,
  /** Assumed: nobody can know a user's line. */
  downloadedBytesPerSecond: 2.5e7,
  /** Seconds until a stage of PyTorch or the converter has begun its work, and until one of llama.cpp has. */
  pythonStartSeconds: 20,
  llamaStartSeconds: 3,
};
