import { describe, expect, it } from "vitest";
import { memoryMax, promptCacheBytes, serverMemory } from "./memory.ts";
import { llama2With7B, llama8B, smolLM2 } from "./testing/shapes.ts";

describe("promptCacheBytes", () => {
  const server = { contextLength: 4096, systemPrompt: "You are a desk." };

  it("keeps nothing without a system prompt", () => {
    expect(promptCacheBytes(llama8B, { contextLength: 4096 })).toBe(0);
    expect(promptCacheBytes(llama8B, { contextLength: 4096, systemPrompt: [] })).toBe(0);
  });

  it("has room for two contexts of a request, and one more for each further prompt", () => {
    const context = 4096 * 128 * 1024;
    expect(promptCacheBytes(llama8B, server)).toBe(2 * context);
    expect(promptCacheBytes(llama8B, { ...server, systemPrompt: [1, 2, 3] })).toBe(4 * context);
    expect(promptCacheBytes(llama8B, { ...server, parallel: 4 })).toBe(context / 2);
    expect(promptCacheBytes(llama8B, { ...server, cacheType: "q8_0" })).toBe((2 * context * 17) / 32);
  });

  it("is a part of the service's memory, in whole MiB", () => {
    const without = { contextLength: server.contextLength };
    const kept = promptCacheBytes(smolLM2, server);
    expect(kept % 2 ** 20).toBe(0);
    expect(serverMemory(smolLM2, 1e8, server) - serverMemory(smolLM2, 1e8, without)).toBe(kept);
  });
});

describe("serverMemory", () => {
  const pruned = { ...smolLM2, ffnSize: 1280 };

  // Resident memory of llama-server less what the emulator took, and the compute buffer, of which a prompt of five tokens
  // had touched next to nothing. SmolLM2-135M with an FFN of 1280.
  it.each([
    ["Q4_K_M", 96351296, 2048, 169_168 * 1024 + 15.14 * 2 ** 20],
    ["Q4_K_M", 96351296, 8192, 307_924 * 1024 + 21.14 * 2 ** 20],
    ["F16", 244343808, 2048, 313_760 * 1024 + 15.14 * 2 ** 20],
  ])(
    "is within 3 %% of what llama-server took: %s, %i bytes, %i tokens of context",
    (_, file, context, measured) => {
      expect(Math.abs(serverMemory(pruned, file, { contextLength: context }) / measured - 1)).toBeLessThan(
        0.03,
      );
    },
  );

  it("counts the table of n-grams where tokens are guessed", () => {
    const memory = (speculation: string) => serverMemory(pruned, 1e8, { contextLength: 2048, speculation });
    expect(memory("ngram") - memory("none")).toBe(16 * 2 ** 20);
  });

  it("counts 128 KiB of KV cache for each token of Llama 3.1 8B, and about half with q8_0", () => {
    const cacheBytes = (contextLength: number, cacheType?: string): number =>
      serverMemory(llama8B, 0, { contextLength, cacheType });
    const mask = 2 * 512 * 4096;
    expect(cacheBytes(8192) - cacheBytes(4096)).toBe(4096 * 128 * 1024 + mask);
    expect(cacheBytes(8192, "q8_0") - cacheBytes(4096, "q8_0") - mask).toBe((4096 * 128 * 1024 * 17) / 32);
  });

  // 2 x layers x KV heads x head size x bytes of the cache's type: two for f16, 34 for 32 values of q8_0.
  it.each([
    ["f16", 512 * 1024],
    ["q8_0", (512 * 1024 * 17) / 32],
  ])(
    "counts for each token of Llama 2 7B, which shares no keys, four times as much: %s",
    (cacheType, bytes) => {
      const mask = 2 * 512 * 2048;
      const grown = (of: typeof memoryMax): number =>
        of(llama2With7B, 4e9, { contextLength: 4096, cacheType }) -
        of(llama2With7B, 4e9, { contextLength: 2048, cacheType });
      expect(grown(serverMemory)).toBe(2048 * bytes + mask);
      expect(grown(memoryMax)).toBe(2048 * bytes + mask);
    },
  );
});

it("holds a whole text at once with an embedding model", () => {
  const shape = { ...smolLM2, pooling: "mean" as const, kvHeads: 0, trainedContext: 2048 };
  const memory = (contextLength: number) => serverMemory(shape, 0, { contextLength });
  const perToken = 4 * (3 * smolLM2.ffnSize + 5 * smolLM2.hiddenSize);
  expect(memory(2048) - memory(1024)).toBe(1024 * perToken + 2 * (2048 ** 2 - 1024 ** 2));
});
