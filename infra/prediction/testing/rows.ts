import type { MeasuredRow } from "../measured-rows.ts";
import { multipliedWeights } from "../weights.ts";
import { llama8B } from "./shapes.ts";

/** A row of the host pi-1, of Llama 3.1 8B in Q4_K_M. */
export const measuredRow: MeasuredRow = {
  host: "pi-1",
  date: "2026-11-29T12:00:00Z",
  board: "Raspberry Pi 4 Model B Rev 1.4",
  model: "Llama 3.1 8B",
  type: "Q4_K_M",
  parameters: 8030261312,
  fileBytes: 4920734272,
  threads: 4,
  build: 11434,
  prompt: 1.6,
  generation: 0.7,
  weights: multipliedWeights(llama8B, { type: "Q4_K_M", imatrix: false }),
  celsius: 61.3,
  throttled: 0,
  governor: "ondemand",
  megahertz: 1500,
  bootloader: "2024-08-30",
};
