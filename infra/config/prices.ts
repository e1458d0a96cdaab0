import file from "./ec2-prices.json" with { type: "json" };

/** What an hour of an instance costs, US dollars. */
export interface HourlyPrice {
  onDemand: number;
  spot: number;
}

/** What is known of an instance type: its price, its virtual cores, its GPU. */
interface KnownType extends HourlyPrice {
  cores: number;
  gpu?: string;
}

const hoursPerMonth = 730;

/** The dated prices that come with this program, and the regions where they hold. */
export const priceFile: typeof file & { types: Record<string, KnownType> } = file;

/** The price of a type in a region, the user's own first; undefined when nobody knows it. */
export function priceOf(
  type: string,
  region: string,
  own: Readonly<Record<string, HourlyPrice>>,
): HourlyPrice | undefined {
  const { regions, types } = priceFile;
  return own[type] ?? (regions.includes(region) ? types[type] : undefined);
}

/** What a disk costs an hour. @param bytes its size */
export function diskPerHour(bytes: number): number {
  return ((bytes / 1e9) * priceFile.diskUsdPerGbMonth) / hoursPerMonth;
}
