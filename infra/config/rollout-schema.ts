import { z } from "zod";
import { strict } from "../../common/strict.ts";
import { duration, size } from "./quantity.ts";

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

/** In which steps a release reaches the fleet, and what stops it. */
export const rolloutSchema = strict({
  canary: quota.prefault(1).describe("Hosts that get a release first."),
  steps: z.array(quota).prefault([]).meta({
    description:
      "How much of the fleet has it after each of the next waves, the canary included; a last wave brings the rest.",
    example: '["10 %", "50 %"]',
  }),
  orderBy: z.string().min(1).optional().meta({
    description: "Label by whose value hosts are ordered, numbers by size; those without it come last.",
    defaultText: "the order of `hosts`",
  }),
  soak: duration.prefault("1 minute").describe("Time a wave has to stay healthy before the next one begins."),
  maxFailures: quota.prefault(0).describe("Hosts of a wave that may fail without stopping the rollout."),
  concurrency: z.int().min(1).max(1000).default(10).describe("Maximum concurrent hosts."),
  bandwidth: size.pipe(z.number().min(1000, "must be at least 1 kB a second")).optional().meta({
    description: "What this machine sends to all hosts together at most, in a second.",
    defaultText: "no limit",
    example: '"5 MB"',
  }),
  prefetch: z
    .boolean()
    .default(true)
    .describe(
      "Whether every host has fetched the release before the first is switched; of no effect with one host.",
    ),
  peerToPeer: z
    .boolean()
    .default(false)
    .describe("Whether hosts serve what they have fetched to hosts of later waves, by digest, on port 9112."),
  unreachable: z
    .enum(["skip", "fail"])
    .default("fail")
    .describe("What becomes of a host that does not answer; see the same key of a host."),
}).prefault({});

export type RolloutConfig = z.infer<typeof rolloutSchema>;
