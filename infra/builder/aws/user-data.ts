import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AwsBuilderConfig } from "../../config/aws-schema.ts";
import { diskPerHour, priceOf } from "../../config/prices.ts";
import { repoRoot } from "../../../common/paths.ts";
import { parseS3Url } from "../../store/s3-address.ts";
import { quote } from "../ssh/remote.ts";
import type { InstanceName } from "../../stage/instance-for.ts";
import type { SourceObject } from "./job-queues.ts";
import { queueName, tokenParameterName } from "./names.ts";

/** What `models/pipress/cloud/settings.py` reads on the instance. */
export interface InstanceSettings {
  /** The job queue that it takes jobs from: `home/gpu`. */
  queue: string;
  store: string;
  region: string;
  gpu: boolean;
  /** By instance type and lifecycle, US dollars an hour with the disk. */
  usdPerHour: Record<string, { "on-demand": number; spot: number }>;
  tokenParameter?: string;
  limits: {
    stallTimeoutSeconds: number;
    gpuIdleTimeoutSeconds: number;
    idleTimeoutSeconds: number;
    maxSeconds: number;
    maxCostUsd: number;
  };
}

/** Settings of an instance. @param hasToken whether its token lies in the Parameter Store */
export function instanceSettings(
  aws: AwsBuilderConfig,
  stack: string,
  store: string,
  instance: InstanceName,
  hasToken: boolean,
): InstanceSettings {
  const { types, disk } = aws[instance];
  const prices = types.map((type) => {
    const price = priceOf(type, aws.region, aws.prices);
    if (price === undefined) throw new Error(`no price is known for ${type}`);
    const withDisk = (usd: number) => Math.round((usd + diskPerHour(disk)) * 1e4) / 1e4;
    return [type, { "on-demand": withDisk(price.onDemand), spot: withDisk(price.spot) }] as const;
  });
  return {
    queue: queueName(stack, instance),
    store,
    region: aws.region,
    gpu: instance === "gpu",
    usdPerHour: Object.fromEntries(prices),
    ...(hasToken && { tokenParameter: tokenParameterName(stack) }),
    limits: {
      stallTimeoutSeconds: aws.stallTimeout,
      gpuIdleTimeoutSeconds: aws.gpuIdleTimeout,
      idleTimeoutSeconds: aws.idleTimeout,
      maxSeconds: aws.maxDuration,
      maxCostUsd: aws.maxCostUsd,
    },
  };
}

/** The script that an instance runs at its first boot: `models/pipress/cloud/boot.sh` with its settings written above it. */
export function userData(settings: InstanceSettings, code: SourceObject): string {
  const { bucket, prefix, endpoint, region = settings.region } = parseS3Url(settings.store);
  const root = `${endpoint ?? `https://s3.${region}.amazonaws.com`}/${bucket}/${prefix}`;
  const variables = {
    settings: JSON.stringify(settings),
    queue_url: `${root}/boxes/${settings.queue}`,
    source_url: `${root}/${code.path}`,
    source_sha256: code.sha256,
    region: settings.region,
    max_minutes: String(Math.ceil(settings.limits.maxSeconds / 60)),
  };
  const [first = "", ...script] = bootScript().split("\n");
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}`);
  return [first, ...lines, ...script].join("\n");
}

function bootScript(): string {
  return readFileSync(join(repoRoot, "models", "pipress", "cloud", "boot.sh"), "utf8");
}
