import { z } from "zod";
import { priceOf } from "./prices.ts";
import { duration } from "./duration.ts";
import { size } from "./size.ts";
import { strict } from "../../common/strict.ts";

const instanceType = z
  .string()
  .regex(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, 'must be an EC2 instance type such as "g6e.2xlarge"');

const dollars = z.number().positive();

/** An EC2 instance: types to choose from, the first one being what costs are predicted for, and its disk. */
const instance = (types: string[], disk: string) =>
  strict({
    types: z.array(instanceType).min(1).default(types),
    disk: size.prefault(disk),
  }).prefault({});

/**
 * EC2 instances that exist while a stage needs them. Credentials come from where every AWS tool looks for them.
 */
export const awsBuilder = strict({
  /** Region of the instances; best that of the bucket. */
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region such as "us-east-1"'),
  /** For pruning and recovery. @default types with an L40S (48 GB), disk 200 GB */
  gpu: instance(["g6e.2xlarge", "g6e.4xlarge", "g6e.xlarge", "g6e.8xlarge"], "200 GB"),
  /** For everything else. @default types with 16 cores and 64 GB of memory, disk 200 GB */
  build: instance(["m7i.4xlarge", "m6i.4xlarge", "m7a.4xlarge", "m6a.4xlarge"], "200 GB"),
  /** Whether an instance may be started on demand when AWS has no spot instance free. @default false */
  onDemand: z.boolean().default(false),
  /** A plan that is predicted to cost more is refused, and no instance may cost more, US dollars. */
  maxCostUsd: dollars,
  /** How long an instance may run, whatever it is doing; a week at most. @default "24 h" */
  maxDuration: duration.refine((seconds) => seconds <= 7 * 86_400, "must be a week at most").prefault("24 h"),
  /** An instance ends when its job has made no progress for so long. @default "30 minutes" */
  stallTimeout: duration.prefault("30 minutes"),
  /** A GPU instance ends when its GPU has been idle for so long while a job is at work. @default "20 minutes" */
  gpuIdleTimeout: duration.prefault("20 minutes"),
  /** An instance ends when it has had no job for so long. @default "5 minutes" */
  idleTimeout: duration.prefault("5 minutes"),
  /** Prices by instance type over those of infra/config/ec2-prices.json, US dollars an hour. */
  prices: z.record(instanceType, strict({ onDemand: dollars, spot: dollars })).default({}),
}).superRefine(({ region, gpu, build, prices }, context) => {
  for (const [name, { types }] of Object.entries({ gpu, build }))
    for (const [index, type] of types.entries())
      if (priceOf(type, region, prices) === undefined)
        context.addIssue({
          code: "custom",
          path: [name, "types", index],
          message: `no price is known for ${type} in ${region}; write it down: prices: { ${type}: { onDemand: …, spot: … } }`,
        });
});

export type AwsBuilderConfig = z.infer<typeof awsBuilder>;

/** What the stack `artifacts` reads: a stack of its own, because its bucket outlives every other. */
export const artifactsConfigSchema = strict({
  kind: z.literal("artifacts"),
  region: z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region such as "us-east-1"'),
  /** Name of the bucket; unique in all of AWS. */
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, "must be lower-case letters, digits and dashes"),
  /** Below which everything of ours lies. @default "pipress" */
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/, "must be letters, digits, dots and dashes")
    .default("pipress"),
  /** How long an object that was removed or replaced can be brought back. @default "30 d" */
  keepRemoved: duration.prefault("30 d"),
});

export type ArtifactsConfig = z.infer<typeof artifactsConfigSchema>;
