import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { AwsBuilderConfig } from "../../config/aws-schema.ts";
import { diskPerHour, priceOf } from "../../config/prices.ts";
import { repoRoot } from "../../../common/paths.ts";
import { parseS3Url } from "../../store/s3-address.ts";
import { quote } from "../ssh/remote.ts";
import type { InstanceName } from "../../stage/instance-for.ts";
import { deskName, tokenParameterName } from "./names.ts";

/** What `models/pipress/cloud/settings.py` reads on the box. */
export interface BoxSettings {
  box: string;
  store: string;
  region: string;
  gpu: boolean;
  /** By instance type and lifecycle, US dollars an hour with the disk. */
  usdPerHour: Record<string, { "on-demand": number; spot: number }>;
  tokenParameter?: string;
  limits: {
    noProgressSeconds: number;
    gpuIdleSeconds: number;
    lingerSeconds: number;
    maxHours: number;
    maxCostUsd: number;
  };
}

/** The code that a box fetches: its object below the store's prefix, and the digest of what lies there. */
export interface BoxCode {
  path: string;
  sha256: string;
}

/** What a box is told. @param hasToken whether its token lies in the Parameter Store */
export function boxSettings(
  aws: AwsBuilderConfig,
  stack: string,
  store: string,
  box: InstanceName,
  hasToken: boolean,
): BoxSettings {
  const { types, disk } = aws[box];
  const prices = types.map((type) => {
    const price = priceOf(type, aws.region, aws.prices);
    if (price === undefined) throw new Error(`no price is known for ${type}`);
    const whole = (each: number) => Math.round((each + diskPerHour(disk)) * 1e4) / 1e4;
    return [type, { "on-demand": whole(price.onDemand), spot: whole(price.spot) }] as const;
  });
  return {
    box: deskName(stack, box),
    store,
    region: aws.region,
    gpu: box === "gpu",
    usdPerHour: Object.fromEntries(prices),
    ...(hasToken && { tokenParameter: tokenParameterName(stack) }),
    limits: {
      noProgressSeconds: aws.noProgress,
      gpuIdleSeconds: aws.gpuIdle,
      lingerSeconds: aws.linger,
      maxHours: aws.maxHours,
      maxCostUsd: aws.maxCostUsd,
    },
  };
}

/** The script that a box runs at its first boot: `models/pipress/cloud/boot.sh` with what it is told written above it. */
export function userData(settings: BoxSettings, code: BoxCode): string {
  const { bucket, prefix, endpoint, region = settings.region } = parseS3Url(settings.store);
  const root = `${endpoint ?? `https://s3.${region}.amazonaws.com`}/${bucket}/${prefix}`;
  const told = {
    settings: JSON.stringify(settings),
    desk_url: `${root}/boxes/${settings.box}`,
    source_url: `${root}/${code.path}`,
    source_sha256: code.sha256,
    region: settings.region,
    max_minutes: String(Math.ceil(settings.limits.maxHours * 60)),
  };
  const [first = "", ...script] = bootScript().split("\n");
  const lines = Object.entries(told).map(([name, value]) => `${name}=${quote(value)}`);
  return [first, ...lines, ...script].join("\n");
}

function bootScript(): string {
  return readFileSync(join(repoRoot, "models", "pipress", "cloud", "boot.sh"), "utf8");
}
