import { describe, expect, it } from "vitest";
import { resolveServer } from "../config/server-settings.ts";
import { makeRelease } from "./release.ts";

const parts = {
  name: "smollm2-135m",
  model: { sha256: "aa", bytes: 1 },
  server: { sha256: "bb", bytes: 2, path: "/somewhere/llama-server" },
  settings: resolveServer({ contextLength: 512, threads: 4, parallel: 1, minTokensPerSecond: 0 }),
  memoryMax: 2 ** 30,
  smokeTest: { prompt: "p", expect: "e", maxTokens: 8 },
};

describe("makeRelease", () => {
  it("does not depend on where the files lie", () => {
    const elsewhere = makeRelease({ ...parts, server: { ...parts.server, path: "/elsewhere" } as never });
    expect(makeRelease(parts)).toEqual(elsewhere);
    expect(makeRelease(parts).server).toEqual({ sha256: "bb", bytes: 2 });
  });

  it.each(["name", "model", "server", "settings", "smokeTest"] as const)("changes with the %s", (part) => {
    const changed = { ...parts, [part]: "another" };
    expect(makeRelease(changed as never).digest).not.toBe(makeRelease(parts).digest);
  });

  it("changes with what the unit is rendered from", () => {
    expect(makeRelease(parts, "another unit").digest).not.toBe(makeRelease(parts).digest);
    expect(makeRelease(parts).unit).toMatch(/^[0-9a-f]{64}$/);
  });
});
