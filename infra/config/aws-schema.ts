import { z } from "zod";
import { priceOf } from "./prices.ts";
import { duration, size } from "./quantity.ts";
import { strict } from "../../common/strict.ts";

const instanceType = z
  .string()
  .regex(/^[a-z][a-z0-9-]*\.[a-z0-9-]+$/, 'must be an EC2 instance type such as "g6e.2xlarge"');

const region = z.string().regex(/^[a-z]{2}(-[a-z]+)+-\d$/, 'must be a region such as "us-east-1"');

const dollars = z.number().positive();

/** An EC2 instance. */
const instance = (types: string[], disk: string) =>
  strict({
    types: z
      .array(instanceType)
      .min(1)
      .default(types)
      .describe("Instance types to choose from; costs are predicted for the first."),
    disk: size.prefault(disk).describe("Disk of the instance."),
  }).prefault({});

export const awsBuilder = strict({
  region: region.describe("Region of the instances; best that of the bucket."),
  gpu: instance(["g6e.2xlarge", "g6e.4xlarge", "g6e.xlarge", "g6e.8xlarge"], "200 GB").meta({
    description: "For pruning and recovery.",
    defaultText: "types with an L40S (48 GB), disk 200 GB",
  }),
  build: instance(["m7i.4xlarge", "m6i.4xlarge", "m7a.4xlarge", "m6a.4xlarge"], "200 GB").meta({
    description: "For everything else.",
    defaultText: "types with 16 cores and 64 GB of memory, disk 200 GB",
  }),
  onDemand: z
    .boolean()
    .default(false)
    .describe("Whether an instance may be started on demand when AWS has no spot instance free."),
  maxCostUsd: dollars.describe(
    "A plan that is predicted to cost more is refused, and no instance may cost more, US dollars.",
  ),
  maxDuration: duration
    .refine((seconds) => seconds <= 7 * 86_400, "must be a week at most")
    .prefault("24 h")
    .describe("How long an instance may run, whatever it is doing; a week at most."),
  stallTimeout: duration
    .prefault("30 minutes")
    .describe("An instance ends when its job has made no progress for so long."),
  gpuIdleTimeout: duration
    .prefault("20 minutes")
    .describe("A GPU instance ends when its GPU has been idle for so long while a job is at work."),
  idleTimeout: duration
    .prefault("5 minutes")
    .describe("An instance ends when it has had no job for so long."),
  prices: z
    .record(
      instanceType,
      strict({
        onDemand: dollars.describe("Price on demand."),
        spot: dollars.describe("Price as a spot instance."),
      }),
    )
    .default({})
    .describe("Prices by instance type over those of infra/config/ec2-prices.json, US dollars an hour."),
})
  .describe(
    "EC2 instances that exist while a stage needs them. Credentials come from where every AWS tool looks for them.",
  )
  .superRefine(({ region, gpu, build, prices }, context) => {
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
  kind: z.literal("artifacts").describe("What kind of stack."),
  region: region.describe("Region of the bucket."),
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$/, "must be lower-case letters, digits and dashes")
    .describe("Name of the bucket; unique in all of AWS."),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/, "must be letters, digits, dots and dashes")
    .default("pipress")
    .describe("Below which everything of ours lies."),
  keepRemoved: duration
    .prefault("30 d")
    .describe("How long an object that was removed or replaced can be brought back."),
});

export type ArtifactsConfig = z.infer<typeof artifactsConfigSchema>;
