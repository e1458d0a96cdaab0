/** How fast EC2 instances are, for a prediction before anything runs. */
import { availableParallelism } from "node:os";
import type { AwsBuilderConfig } from "../config/aws-schema.ts";
import { instanceFor } from "../stage/instance-for.ts";
import type { SpeedOf } from "./predict.ts";
import { priceFile } from "../config/prices.ts";

/**
 * Floating-point operations per second that plain PyTorch in bfloat16 gets out of a GPU on large matrices: assumed to be a
 * third of the data sheet's dense figure (A10G 70e12, L4 121e12, L40S 362e12). The H100's (989e12) was measured, by
 * `npm run bench:8b -- --only gpu`.
 */
const gpuFlops: Record<string, number> = { A10G: 2.3e13, L4: 4e13, L40S: 1.2e14, H100: 2.9e14 };

/** Cores of a type that is not in the price file. */
const usualCores = 16;

/** What the GPU that a manifest's machine class names gets out, a second; undefined where it names none of these. */
export function flopsOf(machineClass: string): number | undefined {
  return Object.entries(gpuFlops).find(([gpu]) => machineClass.split(/\W/).includes(gpu))?.[1];
}

/** How fast each stage's instance is: its first type; what needs no instance runs here. */
export function speedOnAws(aws: Pick<AwsBuilderConfig, "gpu" | "build">): SpeedOf {
  return (stage) => {
    const instance = instanceFor(stage);
    if (instance === undefined) return { cores: availableParallelism() };
    const { gpu = "", cores = usualCores } = priceFile.types[aws[instance].types[0] ?? ""] ?? {};
    const flops = gpuFlops[gpu];
    // A virtual core is half of a physical one.
    return { cores: cores / 2, ...(flops !== undefined && { flops }) };
  };
}
