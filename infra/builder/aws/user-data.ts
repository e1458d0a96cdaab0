import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AwsBuilderConfig } from "../../config/aws-schema.ts";
import { diskPerHour, priceOf } from "../../config/prices.ts";
import { repoRoot } from "../../../common/paths.ts";
import { parseS3Url } from "../../store/s3-address.ts";
import { quote } from "../../../common/shell.ts";
import type { InstanceName } from "../../stage/instance-for.ts";
import type { SourceObject } from "./job-queues.ts";
import { queueName, tokenParameterName } from "./names.ts";

/** What `models/pipress/cloud/settings.py` reads on the instance. */
type InstanceSettings = ReturnType<typeof instanceSettings>;

/** What an instance's settings are made from. */
interface SettingsArgs {
  aws: AwsBuilderConfig;
  /** Its `sharedName`. */
  stack: string;
  /** URL of the bucket, `s3://…`. */
  store: string;
  instance: InstanceName;
  /** Whether its token lies in the Parameter Store. */
  hasToken: boolean;
  /** Of the region's partition. */
  dnsSuffix: string;
}

/** Settings of an instance. */
export function instanceSettings({ aws, stack, store, instance, hasToken, dnsSuffix }: SettingsArgs) {
  const { types, disk } = aws[instance];
  const prices = types.map((type) => {
    const price = priceOf(type, aws.region, aws.prices);
    if (price === undefined) throw new Error(`no price is known for ${type}`);
    const withDisk = (usd: number) => Math.round((usd + diskPerHour(disk)) * 1e4) / 1e4;
    return [type, { "on-demand": withDisk(price.onDemand), spot: withDisk(price.spot) }] as const;
  });
  return {
    /** The job queue that it takes jobs from: `home-3f9a01c2/gpu`. */
    queue: queueName(stack, instance),
    store,
    region: aws.region,
    /** What the names of AWS's endpoints end with: `amazonaws.com`. */
    dnsSuffix,
    gpu: instance === "gpu",
    /** By instance type and lifecycle, US dollars an hour with the disk. */
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
  const root = `${endpoint ?? `https://s3.${region}.${settings.dnsSuffix}`}/${bucket}/${prefix}`;
  const variables = {
    settings: JSON.stringify(settings),
    queue_url: `${root}/boxes/${settings.queue}`,
    source_url: `${root}/${code.path}`,
    source_sha256: code.sha256,
    region: settings.region,
    dns_suffix: settings.dnsSuffix,
    max_minutes: String(Math.ceil(settings.limits.maxSeconds / 60)),
  };
  const boot = readFileSync(join(repoRoot, "models", "pipress", "cloud", "boot.sh"), "utf8");
  const [first = "", ...script] = boot.split("\n");
  const lines = Object.entries(variables).map(([name, value]) => `${name}=${quote(value)}`);
  return [first, ...lines, ...script].join("\n");
}
