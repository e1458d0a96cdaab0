import { z } from "zod";
import { strict } from "../../common/strict.ts";
import { duration } from "./duration.ts";
import { size } from "./size.ts";

/** A part of the hosts. */
export interface Quota {
  count?: number;
  /** From 0 to 1. */
  share?: number;
}

/** Hosts, as a number (`3`) or as a share (`"20 %"`). */
const quota = z
  .union([z.int().min(0), z.string()], { error: 'must be a number of hosts or a share such as "20 %"' })
  .transform((value, context): Quota => {
    if (typeof value === "number") return { count: value };
    const percent = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(value)?.[1];
    if (percent !== undefined && Number(percent) <= 100) return { share: Number(percent) / 100 };
    context.addIssue({
      code: "custom",
      message: `"${value}" is neither a number of hosts nor a share such as "20 %"`,
    });
    return z.NEVER;
  });

const defaults = {
  canary: { count: 1 },
  steps: [] as Quota[],
  soak: 60,
  maxFailures: { count: 0 },
  concurrency: 10,
  prefetch: true,
  peerToPeer: false,
  unreachable: "fail" as const,
};

/** In which steps a release reaches the fleet, and what stops it. */
export const rolloutSchema = strict({
  /** Hosts that get a release first. @default 1 */
  canary: quota.default(defaults.canary),
  /** How much of the fleet has it after each of the next waves, the canary included; a last wave brings the rest. @example ["10 %", "50 %"] @default [] */
  steps: z.array(quota).default(defaults.steps),
  /** Label by whose value hosts are ordered, numbers by size; those without it come last. @default the order of `hosts` */
  orderBy: z.string().min(1).optional(),
  /** Time a wave has to stay healthy before the next one begins. @default "1 minute" */
  soak: duration.default(defaults.soak),
  /** Hosts of a wave that may fail without stopping the rollout. @default 0 */
  maxFailures: quota.default(defaults.maxFailures),
  /** Maximum concurrent hosts. @default 10 */
  concurrency: z.int().min(1).max(1000).default(defaults.concurrency),
  /** What this machine sends to all hosts together at most, in a second. @example "5 MB" @default no limit */
  bandwidth: size.pipe(z.number().min(1000, "must be at least 1 kB a second")).optional(),
  /** Whether every host has fetched the release before the first is switched; of no effect with one host. @default true */
  prefetch: z.boolean().default(true),
  /** Whether hosts serve what they have fetched to hosts of later waves, by digest, on port 9112. @default false */
  peerToPeer: z.boolean().default(false),
  /** What becomes of a host that does not answer; see the same key of a host. @default "fail" */
  unreachable: z.enum(["skip", "fail"]).default(defaults.unreachable),
}).default(defaults);

export type RolloutConfig = z.infer<typeof rolloutSchema>;
