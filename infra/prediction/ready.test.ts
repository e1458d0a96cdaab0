/** A model that is ready: planned, predicted and judged without a recipe. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { fromCatalogue } from "../model/catalogue.ts";
import { readyModel, type ReadyModel } from "../model/ready-model.ts";
import { modelGraph, releaseStage } from "../plan/graph.ts";
import { FileStore } from "../store/file-store.ts";
import { describeRelease } from "./describe.ts";
import { planModel } from "./forecast.ts";
import { checkLimits, contextWarnings } from "./limits.ts";
import { usedContext } from "./memory.ts";
import { predict, predictFetched, type PredictedStage } from "./predict.ts";

const known = fromCatalogue("qwen2.5-0.5b");
const unknown = readyModel({ local: { path: "/srv/own.gguf", sha256: "0".repeat(64) } });
const stagesOf = (model: ReadyModel): PredictedStage[] =>
  modelGraph(model).map((node) => ({ ...node, artifact: undefined }));
// As llama-quantize leaves it: rows of 896 take no k-quants.
const metrics = {
  ...{ layers: 24, hiddenSize: 896, ffnSize: 4864, heads: 14, kvHeads: 2, headDim: 64, vocabulary: 151936 },
  ...{ tied: true, tokenizerBytes: 5_500_000, trainedContext: 32768 },
  ...{ blocks: "Q4_K=52297728 Q5_0=251854848 Q6_K=52297728 Q8_0=1376256", output: "Q8_0=136134656" },
};
const fetched = { metrics, files: { "model.gguf": { sha256: "1".repeat(64), bytes: 400_000_000 } } };
const server = { contextLength: 2048 };
const onHost = (memoryBytes: number) => [
  { server, hosts: [{ name: "pi-0", where: "pipress:hosts[0]", memoryBytes }] },
];

describe("a model that is ready", () => {
  it("is fetched, then read its system prompts; the hosts get what was fetched", async () => {
    const prompts = [{ name: "system-prompt-main", params: { prompt: "You are brief." } }];
    const nodes = modelGraph(known, { systemPrompts: prompts });
    expect(nodes).toMatchObject([
      { name: "fetch", stage: "fetch-gguf", inputs: {} },
      { name: "system-prompt-main", stage: "system-prompt", inputs: { model: "fetch" } },
    ]);
    expect(releaseStage(nodes)).toBe("fetch");
    const store = new FileStore(pathToFileURL(mkdtempSync(join(tmpdir(), "pipress-ready-"))).href);
    const toolchain = { llamaCpp: { version: "b1", sourceSha256: "5eed" } } as Toolchain;
    const plan = await planModel(known, store, toolchain, prompts);
    expect(plan.map(({ forRelease }) => forRelease)).toEqual([true, true]);
    const renamed = await planModel({ ...known, name: "other" }, store, toolchain, prompts);
    expect(renamed.map(({ key }) => key)).toEqual(plan.map(({ key }) => key));
  });

  it("is predicted from the catalogue, and from its own header once it is fetched", () => {
    const before = predict(known, stagesOf(known), server);
    expect(before?.release.fileBytes).toBe(397_808_192);
    expect(before?.stages.get("fetch")?.bytes).toBe(397_808_192);
    const after = predictFetched(known, stagesOf(known), fetched, server);
    expect(after.release.fileBytes).toBe(400_000_000);
    // The same model, as it were: what the header says and what the catalogue says come to the same.
    expect(after.release.tokensPerSecond / (before?.release.tokensPerSecond ?? 0)).toBeCloseTo(1, 1);
    expect(predict(unknown, stagesOf(unknown), server)).toBeUndefined();
    expect(predictFetched(unknown, stagesOf(unknown), fetched, server).release).toEqual(after.release);
  });

  it("is not predicted from weights of a type that nobody knows", () => {
    const strange = { ...fetched, metrics: { ...metrics, blocks: "Q9_K=1" } };
    expect(() => predictFetched(unknown, stagesOf(unknown), strange, server)).toThrow(
      "does not say the model's shape",
    );
  });

  it("is described without a plan to compare it with", () => {
    const prediction = predict(known, stagesOf(known), server);
    const text = describeRelease(known, prediction, onHost(4e9));
    expect(text).toMatch(
      /file {4}398 MB\n {2}memory .*\n {2}speed {3}about 8\.\d+ tokens\/s on a Raspberry Pi 4/,
    );
    expect(text).not.toMatch(/plan|smaller/);
    expect(describeRelease(unknown, undefined, onHost(4e9))).toBe(
      "size, memory and speed: known once the model is fetched",
    );
  });

  it("is refused by a host without room, and warned of a context that it was not trained for", () => {
    const prediction = predictFetched(known, stagesOf(known), fetched, server);
    expect(() => checkLimits(known, prediction, onHost(4e9))).not.toThrow();
    expect(() => checkLimits(known, prediction, onHost(1e9))).toThrow(
      /pipress:hosts\[0\].*pi-0 has 1\.0+ GB of memory — shorten server.contextLength.*`.\/pipress models`/,
    );
    const long = [{ server: { contextLength: 65536 }, hosts: [] }];
    expect(contextWarnings(known, prediction, long)[0]).toMatch(/^qwen2.5-0.5b: server.contextLength 65536/);
  });
});

describe("an embedding model that is ready", () => {
  const bge = fromCatalogue("bge-small-en-v1.5");
  // As fetch-gguf finds it in such a header.
  const read = {
    ...{ layers: 12, hiddenSize: 384, ffnSize: 1536, heads: 12, kvHeads: 0, headDim: 32, vocabulary: 30522 },
    ...{ tied: true, tokenizerBytes: 1_000_000, trainedContext: 512, pooling: "cls", vector: "0.6 -0.8" },
    ...{ blocks: "Q8_0=21233664", output: "Q8_0=11720448" },
  };
  const artifact = { metrics: read, files: { "model.gguf": { sha256: "1".repeat(64), bytes: 36_685_152 } } };
  const before = predict(bge, stagesOf(bge), server);
  const after = predictFetched(bge, stagesOf(bge), artifact, server);

  it("is fetched with what was said of it beforehand", () => {
    expect(modelGraph(bge)[0]?.params).toMatchObject({ pooling: "cls" });
    expect(modelGraph(known)[0]?.params).not.toHaveProperty("pooling");
  });

  it("is as fast as it reads, before it is fetched and afterwards", () => {
    expect(after.release.tokensPerSecond).toBe(after.prompt.tokensPerSecond);
    expect(after.release.tokensPerSecond / (before?.release.tokensPerSecond ?? 0)).toBeCloseTo(1, 1);
  });

  it("keeps no context in memory, and takes no longer text than it was trained for", () => {
    expect(usedContext(after.shape, { contextLength: 2048, parallel: 2 })).toBe(1024);
    expect(usedContext(after.shape, { contextLength: 256 })).toBe(256);
    const longer = predictFetched(bge, stagesOf(bge), artifact, { contextLength: 8192 });
    expect(longer.release.memoryBytes).toBe(after.release.memoryBytes);
    expect(contextWarnings(bge, after, [{ server: { contextLength: 8192 }, hosts: [] }])).toEqual([]);
  });

  it("is described by what it reads", () => {
    expect(describeRelease(bge, after, onHost(4e9))).toMatch(
      /an embedding model\n {2}file {4}36.7 MB\n {2}memory .* with 512 tokens of context\n {2}reads {3}about \d+ tokens\/s on a Raspberry Pi 4/,
    );
  });
});
