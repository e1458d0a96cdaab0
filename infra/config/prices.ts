import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** What an hour of an instance costs, US dollars. */
export interface HourlyPrice {
  onDemand: number;
  spot: number;
}

/** What is known of an instance type. */
export interface KnownType extends HourlyPrice {
  /** Virtual cores. */
  cores: number;
  gpu?: string;
}

interface PriceFile {
  /** When the prices were written down. */
  asOf: string;
  diskUsdPerGbMonth: number;
  /** Where they hold. */
  regions: string[];
  types: Record<string, KnownType>;
}

const hoursPerMonth = 730;
let file: PriceFile | undefined;

/** The dated prices that come with this program: `ec2-prices.json`. */
export function priceFile(): PriceFile {
  const path = join(dirname(fileURLToPath(import.meta.url)), "ec2-prices.json");
  file ??= JSON.parse(readFileSync(path, "utf8")) as PriceFile;
  return file;
}

/** The price of a type in a region, the user's own first; undefined when nobody knows it. */
export function priceOf(
  type: string,
  region: string,
  own: Readonly<Record<string, HourlyPrice>>,
): HourlyPrice | undefined {
  const { regions, types } = priceFile();
  return own[type] ?? (regions.includes(region) ? types[type] : undefined);
}

/** What a disk costs an hour. @param bytes its size */
export function diskPerHour(bytes: number): number {
  return ((bytes / 1e9) * priceFile().diskUsdPerGbMonth) / hoursPerMonth;
}
