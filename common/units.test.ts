import { describe, expect, it } from "vitest";
import table from "./units.json" with { type: "json" };
import { formatBytes, formatDuration, formatUsd, parseBytes, parseDuration } from "./units.ts";

// The same table tests models/pipress/units.py: both languages say the same of the same number.
describe("units", () => {
  it("writes dollars with their cents", () => {
    expect(formatUsd(1.5)).toBe("$1.50");
  });
  it.each(table.bytes)("says %s bytes as %s", (bytes, text) => {
    expect(formatBytes(Number(bytes))).toBe(text);
  });
  it.each(table.seconds)("says %s seconds as %s", (seconds, text) => {
    expect(formatDuration(Number(seconds))).toBe(text);
  });
  it.each(table.sizes.map(([text, bytes]) => ({ text, bytes })))(
    "reads $text as $bytes, null for none",
    ({ text, bytes }) => {
      expect(parseBytes(String(text))).toBe(bytes ?? undefined);
    },
  );
});

describe("parseDuration", () => {
  it("reads seconds, minutes, hours and days as people write them", () => {
    expect(["90 s", "10 minutes", "1.5h", "2 days"].map(parseDuration)).toEqual([90, 600, 5400, 172_800]);
  });
  it("refuses a number without a unit and an unknown unit", () => {
    for (const text of ["90", "2 fortnights", "-1 s", ""]) expect(parseDuration(text)).toBeUndefined();
  });
});
