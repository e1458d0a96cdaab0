import { describe, expect, it } from "vitest";
import type { Manifest } from "../store/manifest.ts";
import type { StageName } from "../stage/node.ts";
import type { PlannedStage } from "../stage/planned.ts";
import { loadRecipe } from "../recipe/recipe.ts";
import { stageGraph } from "../plan/graph.ts";
import { describePlan, describeRelease } from "./describe.ts";
import type { HostsAlike } from "./host-settings.ts";
import { configuredShape, predictFrom } from "./predict.ts";
import { speedsOf } from "./board-speeds.ts";
import type { MeasuredRow } from "./measured-rows.ts";
import type { ModelShape } from "./shape.ts";
import { measuredRow } from "./testing/rows.ts";
import { multipliedWeights } from "./weights.ts";

const stage = (name: string, artifact?: Manifest): PlannedStage => ({
  name,
  stage: name as StageName,
  params: {},
  inputs: {},
  inputKeys: {},
  toolVersions: {},
  forRelease: true,
  key: "0123456789abcdef",
  artifact,
});

describe("describePlan", () => {
  const stages = [stage("fetch", {} as Manifest), stage("prune"), stage("evaluate")];

  it("says what will run, and about how long and how large that is", () => {
    const costs = new Map([
      ["fetch", { seconds: 1e6, bytes: 1e12 }],
      ["prune", { seconds: 3600, bytes: 13.4e9 }],
      ["evaluate", { seconds: 90, bytes: 0 }],
    ]);
    expect(describePlan(stages, costs).split("\n")).toEqual([
      "2 of 3 stages will run, about 1 h 01 min, 13.4 GB in all",
      "  fetch     0123456789ab  in the store",
      "  prune     0123456789ab  will run  about 1 h 00 min, 13.4 GB",
      "  evaluate  0123456789ab  will run  about 1 min 30 s",
    ]);
  });

  it("says no more than that where nothing can be predicted", () => {
    expect(describePlan(stages)).toMatch(/^2 of 3 stages will run\n/);
  });
});

describe("describeRelease", () => {
  const recipe = loadRecipe("llama-3.1-8b-pruned");
  const prediction = predictFrom(configuredShape(recipe) as ModelShape, stageGraph(recipe), recipe.server);
  const memoryOf = (settings: readonly HostsAlike[]): string[] =>
    describeRelease(recipe, prediction, settings)
      .split("\n")
      .filter((line) => line.startsWith("  memory"));
  const alike = (contextLength: number, ...names: string[]): HostsAlike => ({
    server: { contextLength },
    hosts: names.map((name) => ({ name, where: "pipress:hosts[0]" })),
  });

  it("says how fast it writes and reads, and when the first word of an answer comes", () => {
    const lines = describeRelease(recipe, prediction, [alike(4096)]).split("\n");
    expect(lines.filter((line) => /^ {2}(speed|prompt) /.test(line))).toEqual([
      "  speed   about 0.96 tokens/s on a Raspberry Pi 4 (a model, not a measurement)",
      "  prompt  about 2.05 tokens/s there: 4 min 05 s to the first token of an answer to 500 tokens",
    ]);
  });

  it("ends with a better plan, and with a smaller model", () => {
    const lines = describeRelease(recipe, prediction, [alike(4096)]).split("\n");
    expect(lines.slice(-2)).toEqual([
      expect.stringMatching(/^ {2}plan {4}less loss is expected/),
      expect.stringMatching(/^ {2}smaller llama-3.2-3b in /),
    ]);
  });

  it("says which figures are measured, and by what those are scaled that are not", () => {
    const { shape, models } = prediction;
    const quantization = models.get("quantize")?.quantization ?? { type: "Q4_K_S", imatrix: true };
    const linesWith = (row: MeasuredRow): string[] => {
      const base = configuredShape(recipe) as ModelShape;
      const measured = predictFrom(base, stageGraph(recipe), recipe.server, undefined, speedsOf([row]));
      const lines = describeRelease(recipe, measured, [alike(4096)]).split("\n");
      return lines.filter((line) => /^ {2}(speed|prompt) /.test(line));
    };
    const weights = multipliedWeights(shape, quantization);
    expect(linesWith({ ...measuredRow, weights, generation: 0.912, prompt: 2 })).toEqual([
      "  speed   0.91 tokens/s (measured on pi-1)",
      "  prompt  2.00 tokens/s there: 4 min 11 s to the first token of an answer to 500 tokens",
    ]);
    expect(linesWith(measuredRow)[0]).toMatch(
      /^ {2}speed {3}about 0.\d\d tokens\/s \(predicted, scaled by what was measured on 1 row of pi-1\)$/,
    );
  });

  it("says what memory a host needs, once for every distinct setting of the server", () => {
    expect(memoryOf([alike(4096)])).toEqual(["  memory  4.66 GB on a host, with 4096 tokens of context"]);
    expect(memoryOf([alike(4096, "pi-0", "pi-2"), alike(1024, "pi-1")])).toEqual([
      "  memory  4.66 GB on pi-0, pi-2, with 4096 tokens of context",
      "  memory  4.25 GB on pi-1, with 1024 tokens of context",
    ]);
  });

  it("counts what is kept of prompts where there is a system prompt, and says so", () => {
    const { hosts } = alike(4096, "pi-0");
    expect(memoryOf([{ server: { contextLength: 4096, systemPrompt: "You are a desk." }, hosts }])).toEqual([
      "  memory  5.73 GB on a host, with 4096 tokens of context, prompts kept for the next request",
    ]);
  });

  it("says how much of the context each of several requests has", () => {
    const { hosts } = alike(4096, "pi-0");
    expect(memoryOf([{ server: { contextLength: 4096, parallel: 4 }, hosts }])).toEqual([
      "  memory  4.66 GB on a host, with 4096 tokens of context, 1024 for each of 4 requests",
    ]);
  });
});
