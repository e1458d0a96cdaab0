import { describe, expect, it } from "vitest";
import { resolveServer } from "./server-settings.ts";

describe("whether tokens are guessed", () => {
  const recipe = { contextLength: 512, threads: 4, parallel: 1, minTokensPerSecond: 0 };

  it.each([
    ["ngram", "requests come one at a time", {}],
    ["none", "several requests share a batch", { parallel: 2 }],
    ["none", "the kernels of the release are off", { flags: { "--no-repack": true as const } }],
    ["ngram", "a level says so", { parallel: 2, speculation: "ngram" as const }],
    ["none", "a level says so", { speculation: "none" as const }],
  ])("%s where %s", (speculation, _, level) => {
    expect(resolveServer(recipe, level).speculation).toBe(speculation);
  });
});
