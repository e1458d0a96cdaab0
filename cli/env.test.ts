import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { exportLine } from "./env.ts";

it("prints lines from which a shell reads back the same values, quotes and spaces included", () => {
  const value = `/a b/it's "here"/$HOME`;
  const script = `${exportLine("VALUE", value)}; printf %s "$VALUE"`;
  expect(execFileSync("sh", ["-c", script], { encoding: "utf8" })).toBe(value);
});
