import { describe, expect, it } from "vitest";
import { formatBytes, formatDuration, formatUsd, parseBytes, parseDuration } from "./units.ts";

describe("parseBytes", () => {
  it("reads decimal and binary units", () => {
    expect(parseBytes("3.99 GB")).toBe(3_990_000_000);
    expect(parseBytes("2GiB")).toBe(2 * 2 ** 30);
  });
  it("refuses a number without a unit, an unknown unit and a negative size", () => {
    for (const text of ["12", "1 GiBs", "-1 GB", "", "GB"]) expect(parseBytes(text)).toBeUndefined();
  });
});

describe("formatting", () => {
  it("writes dollars with their cents", () => {
    expect(formatUsd(1.5)).toBe("$1.50");
  });

  it("keeps three significant figures of a size", () => {
    expect(formatBytes(144_811_264)).toBe("145 MB");
    expect(formatBytes(3_990_000_000)).toBe("3.99 GB");
    expect(formatBytes(999_600)).toBe("1.00 MB");
    expect(formatBytes(12)).toBe("12 B");
  });
  it("says durations in the two largest units", () => {
    expect([formatDuration(8.2), formatDuration(185), formatDuration(7800)]).toEqual([
      "8 s",
      "3 min 05 s",
      "2 h 10 min",
    ]);
  });
});

describe("parseDuration", () => {
  it("reads seconds, minutes, hours and days as people write them", () => {
    expect(["90 s", "10 minutes", "1.5h", "2 days"].map(parseDuration)).toEqual([90, 600, 5400, 172_800]);
  });
  it("refuses a number without a unit and an unknown unit", () => {
    for (const text of ["90", "2 fortnights", "-1 s", ""]) expect(parseDuration(text)).toBeUndefined();
  });
});
