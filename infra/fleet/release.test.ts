import { describe, expect, it } from "vitest";
import { resolveServer } from "../config/server-settings.ts";
import { makeRelease, testOf } from "./release.ts";

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

  it("carries system prompts as states, by digest, and not among the settings", () => {
    const state = { name: "main", prompt: "p", sha256: "cc", bytes: 3, tokens: 4 };
    const settings = { ...parts.settings, systemPrompt: "p" };
    const release = makeRelease({ ...parts, settings, systemPrompts: [state], cacheRamMiB: 90 });
    expect(release.settings).toEqual(parts.settings);
    expect(release.systemPrompts).toEqual([state]);
    const another = makeRelease({ ...parts, systemPrompts: [{ ...state, sha256: "dd" }], cacheRamMiB: 90 });
    expect(another.digest).not.toBe(release.digest);
    expect(makeRelease(parts).digest).not.toBe(release.digest);
  });

  it("carries the web page by its digest, wherever that lies", () => {
    const page = { sha256: "ee", bytes: 4, path: "/somewhere/index.html", seconds: 90 };
    const release = makeRelease({ ...parts, page });
    expect(release.page).toEqual({ sha256: "ee", bytes: 4 });
    expect(release).toEqual(
      makeRelease({ ...parts, page: { ...page, seconds: 1, path: "/elsewhere" } as never }),
    );
    expect(release.digest).not.toBe(makeRelease(parts).digest);
    expect(makeRelease(parts)).not.toHaveProperty("page");
  });

  it("changes with what the unit is rendered from", () => {
    expect(makeRelease(parts, "another unit").digest).not.toBe(makeRelease(parts).digest);
    expect(makeRelease(parts).unit).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe("how a model is put to the test", () => {
  const { smokeTest } = parts;

  it("is its smoke test, or the builder's vector where it embeds", () => {
    expect(testOf({ smokeTest }, { metrics: { answer: "Paris" } })).toEqual({ smokeTest });
    const embedding = { pooling: "mean", prompt: "p", vector: "0.6 -0.8" };
    expect(testOf({ smokeTest }, { metrics: { pooling: "mean", vector: "0.6 -0.8" } })).toEqual({
      embedding,
    });
  });
});
