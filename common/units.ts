/** Decimal and binary multiples, as storage vendors (GB) and kernels (GiB) use them. */
const byteUnits: Record<string, number> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/**
 * Parses a size such as `"3.99 GB"` or `"512 MiB"`.
 * @returns bytes, rounded down; undefined when the text is not a size.
 */
export function parseBytes(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(text);
  const unit = byteUnits[match?.[2] ?? ""];
  return match && unit !== undefined ? Math.floor(Number(match[1]) * unit) : undefined;
}

/** The ways people write each unit of time, and the seconds in it. */
const timeUnits: readonly (readonly [name: RegExp, seconds: number])[] = [
  [/^s(econds?)?$/, 1],
  [/^min(utes?)?$/, 60],
  [/^h(ours?)?$/, 3600],
  [/^d(ays?)?$/, 86400],
];

/**
 * Parses a time such as `"90 s"`, `"10 minutes"` or `"1.5 h"`.
 * @returns seconds; undefined when the text is not a time.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/.exec(text);
  const unit = timeUnits.find(([name]) => name.test(match?.[2] ?? ""))?.[1];
  return match && unit !== undefined ? Number(match[1]) * unit : undefined;
}

/** Formats bytes with decimal units and three significant figures: `145 MB`, `3.99 GB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value.toFixed(0) : value.toPrecision(3)} ${units[unit] ?? "B"}`;
}

/** Formats seconds in the two largest units: `8 s`, `3 min 05 s`, `2 h 10 min`. Less than nothing is `0 s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const pad = (value: number): string => value.toString().padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** Formats US dollars: `$1.50`. */
export function formatUsd(usd: number): string {
  return `$${usd.toFixed(2)}`;
}
