import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { stageGraph } from "../plan/graph.ts";
import { resolveHosts } from "../config/hosts.ts";
import { stackConfigSchema } from "../config/schema.ts";
import { resolveServer } from "../config/server-settings.ts";
import type { Recipe } from "../recipe/recipe.ts";
import { speedsOf } from "./board-speeds.ts";
import { memoryMax, SYSTEM_BYTES } from "./memory.ts";
import { predict, type PredictedStage, type Prediction } from "./predict.ts";
import { distinctSettings, type HostsAlike } from "./host-settings.ts";
import { checkLimits, contextWarnings } from "./limits.ts";
import { measuredRow } from "./testing/rows.ts";
import { llama8B } from "./testing/shapes.ts";
import { multipliedWeights } from "./weights.ts";

const llama31Config = {
  hidden_size: 4096,
  intermediate_size: 14336,
  num_hidden_layers: 32,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  vocab_size: 128256,
};

const recipe = {
  name: "r",
  base: { source: {}, config: llama31Config },
  datasets: { calibration: [], evaluation: [] },
  chats: { share: 0, tokens: 1024 },
  steps: {
    prune: { method: "ffn-activation", pruningRatio: 0.16, calibrationTokens: 32768 },
    recover: { tokens: 100000 },
    convert: { type: "f16" },
    imatrix: { chunks: 100, contextLength: 512 },
    quantize: { type: "Q4_K_S" },
    evaluate: { chunks: 40, contextLength: 512 },
  },
  smokeTest: { prompt: "p", expect: "e", maxTokens: 8 },
  server: { contextLength: 4096, threads: 4, parallel: 1, minTokensPerSecond: 0 },
} as unknown as Recipe;

const onTwoCores = () => ({ cores: 2 });

const stagesOf = (changed: Recipe): PredictedStage[] =>
  stageGraph(changed).map((node) => ({ ...node, artifact: undefined }));

function predicted(changed: Recipe): Prediction {
  const prediction = predict(changed, stagesOf(changed), changed.server, onTwoCores);
  if (prediction === undefined) throw new Error("nothing was predicted");
  return prediction;
}

/** The problems of a recipe, as text; empty where there is none. */
function problems(
  changed: Recipe,
  settings: HostsAlike[] = [{ server: changed.server, hosts: [] }],
): string[] {
  try {
    checkLimits(changed, predicted(changed), settings);
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.message.split("\n");
  }
}

describe("predict", () => {
  it("follows the model through the stages: base, pruned, quantized", () => {
    const { models, release } = predicted(recipe);
    expect(models.get("convert-base")?.fileBytes).toBeGreaterThan(16e9);
    expect(models.get("convert")?.fileBytes).toBeLessThan(13.6e9);
    expect(release.fileBytes).toBeLessThan(3.99e9);
    expect(release.tokensPerSecond).toBeCloseTo(0.96, 2);
  });

  it("takes the shape that fetch measured over the one in the recipe", () => {
    const stages = stagesOf(recipe);
    const artifact = {
      metrics: { ...llama8B, layers: 2, tokenizerBytes: 1 },
    } as unknown as PredictedStage["artifact"];
    stages[0] = { ...(stages[0] as PredictedStage), artifact };
    expect(predict(recipe, stages, { contextLength: 4096 })?.base.layers).toBe(2);
  });

  it("predicts nothing while nobody knows the base model's shape", () => {
    const unknown = { ...recipe, base: { source: {} } };
    expect(predict(unknown, stagesOf(unknown), { contextLength: 4096 })).toBeUndefined();
  });

  it("says that recovery takes days on two cores, and what the stages leave on the disk", () => {
    const { stages } = predicted(recipe);
    expect(stages.get("recover")?.seconds).toBeGreaterThan(86400 / 2);
    expect(stages.get("prune")?.bytes).toBeGreaterThan(13e9);
    expect(stages.get("evaluate")?.bytes).toBe(0);
  });

  it("counts the questions of an evaluation", () => {
    const seconds = (evaluate: object): number =>
      predicted({ ...recipe, steps: { ...recipe.steps, evaluate } } as Recipe).stages.get("evaluate")
        ?.seconds ?? NaN;
    const text = { chunks: 8, contextLength: 512 };
    const [none, some, all] = [0, 9, 18].map((questions) => seconds({ ...text, questions }));
    expect(some).toBeGreaterThan(none ?? NaN);
    expect((all ?? NaN) - (none ?? NaN)).toBeCloseTo(2 * ((some ?? NaN) - (none ?? NaN)));
    // An 8B answers all of them in less time than it reads the text of a recipe.
    expect((all ?? NaN) - (none ?? NaN)).toBeLessThan(seconds({ chunks: 40, contextLength: 512 }));
  });

  it("counts how often a recovery that knows its type quantizes all weights", () => {
    const seconds = (recover: object, stage: string): number =>
      predicted({ ...recipe, steps: { ...recipe.steps, recover } } as Recipe).stages.get(stage)?.seconds ??
      NaN;
    const ordinary = { tokens: 100000, refreshes: 8, validations: 4 };
    const aware = { ...ordinary, quantizationAware: true };
    const passes = (seconds(aware, "recover") - seconds(ordinary, "recover")) / seconds(aware, "quantize");
    expect(passes).toBeGreaterThan(10.5); // 8 and 4, and both at the start
    expect(passes).toBeLessThan(11.5);
  });
});

describe("checkLimits", () => {
  it("says nothing of a recipe within its limits", () => {
    expect(
      problems({
        ...recipe,
        limits: { maxFileSize: "3.99 GB", maxMemory: "6 GiB", minTokensPerSecond: 0.9 },
      }),
    ).toEqual([]);
  });

  it("names every limit that is missed, and the plan that misses none", () => {
    const unpruned = {
      ...recipe,
      steps: { ...recipe.steps, prune: undefined },
      limits: { maxFileSize: "3.99 GB", minTokensPerSecond: 0.9 },
    } as Recipe;
    const messages = problems(unpruned);
    expect(messages).toHaveLength(2);
    expect(messages[0]).toMatch(
      /^r: limits.maxFileSize: the file will have 4.69 GB, more than 3.99 GB — the nearest plan/,
    );
    expect(messages[1]).toContain(
      "r: limits.minTokensPerSecond: a Pi 4 will generate about 0.80 tokens/s, fewer than 0.9 (a model, not a measurement)",
    );
    expect(messages[0]).toContain(
      "prune: { method: ffn-second-order, ffnWidths: per-layer, pruningRatio: 0.03 }, quantize.type: Q3_K_M",
    );
  });

  it("holds a slow board to its own measurement, and proposes a plan for it", () => {
    const limited = { ...recipe, limits: { minTokensPerSecond: 0.9 } };
    const { shape, models } = predicted(recipe);
    const quantization = models.get("quantize")?.quantization;
    if (quantization === undefined) throw new Error("nothing is quantized");
    const weights = multipliedWeights(shape, quantization);
    const boards = speedsOf([{ ...measuredRow, weights, generation: 0.8 }]);
    const prediction = predict(limited, stagesOf(limited), limited.server, onTwoCores, boards);
    const alike = [{ server: limited.server, hosts: [] }];
    const check = (): void => {
      checkLimits(limited, prediction as Prediction, alike);
    };
    expect(check).toThrow("a Pi 4 will generate about 0.80 tokens/s, fewer than 0.9 (measured on pi-1)");
    // Q4_K_S, which is fast enough on a board as it is predicted, is not on this one.
    expect(check).toThrow(/the nearest plan that meets all limits: .*about 0.9\d tokens\/s/);
    expect(check).not.toThrow(/quantize.type: Q4_K_S/);
  });

  it("would rather quantize than prune where size is all that counts", () => {
    const [message] = problems({ ...recipe, limits: { maxFileSize: "3.9 GB" } });
    expect(message).toContain("no pruning, quantize.type: IQ3_M");
  });

  it("refuses a host that the model does not fit, with 1 GiB for the system", () => {
    const host = { name: "pi-0", where: "pipress:hosts[0]", memoryBytes: 5 * 2 ** 30 };
    const { server } = recipe;
    expect(problems(recipe, [{ server, hosts: [host] }]).join()).toMatch(
      /^pipress:hosts\[0\]: with 4096 tokens of context, model, KV cache and buffers may take .* but pi-0 has 5.37 GB of memory — the nearest plan/,
    );
    expect(problems(recipe, [{ server, hosts: [{ ...host, memoryBytes: 8 * 2 ** 30 }] }])).toEqual([]);
  });

  it("checks each host under its own settings: one with a long context is refused where the stack's fits", () => {
    const config = stackConfigSchema.parse({
      recipe: "r",
      server: { contextLength: 2048 },
      hosts: [
        { name: "pi-0", virtual: { memory: "6 GiB" } },
        { name: "pi-1", virtual: { memory: "6 GiB" }, server: { contextLength: 32768 } },
      ],
    });
    const placed = config.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
    const fleet = resolveHosts(placed, config, () => recipe);
    const settings = distinctSettings(fleet, resolveServer(recipe.server, config.server));
    const messages = problems(recipe, settings);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatch(
      /^pipress:hosts\[1\]: with 32768 tokens of context, .* pi-1 has 6.44 GB of memory/,
    );
    expect(problems({ ...recipe, limits: { maxMemory: "5 GB" } }, settings).join("\n")).toMatch(
      /r: limits.maxMemory: it will take .* on pi-1, with 32768 tokens of context, more than 5.00 GB/,
    );

    // The unit's limit comes from the same numbers: what is refused is what would not fit beside the system.
    const { shape, release } = predicted(recipe);
    const limits = fleet.map(({ server }) => memoryMax(shape, release.fileBytes, server) + SYSTEM_BYTES);
    expect(limits.map((bytes) => bytes <= 6 * 2 ** 30)).toEqual([true, false]);
  });

  it("says so when no plan can meet the limits", () => {
    const [message] = problems({ ...recipe, limits: { minTokensPerSecond: 5 } });
    expect(message).toContain("no plan meets all of them: relax a limit");
  });
});

describe("contextWarnings", () => {
  const trained = {
    ...recipe,
    base: { ...recipe.base, config: { ...llama31Config, max_position_embeddings: 4096 } },
  };
  const warnings = (changed: Recipe, contextLength: number, parallel = 1, ...names: string[][]): string[] => {
    const groups = names.length > 0 ? names : [[]];
    const settings = groups.map((group) => ({
      server: { contextLength, parallel },
      hosts: group.map((name) => ({ name, where: "pipress:hosts" })),
    }));
    return contextWarnings(changed, predicted(changed), settings);
  };

  it("names a context beyond the one that the model was trained for, by the hosts that have it", () => {
    expect(warnings(trained, 4096)).toEqual([]);
    expect(warnings(trained, 4097)).toEqual([
      "r: server.contextLength 4097 gives a request on a host 4097 tokens, but the model was trained for 4096, " +
        "and what it says beyond them makes no sense: set it to 4096 or less",
    ]);
    expect(warnings(trained, 8192, 1, ["pi-0"], ["pi-1"])[1]).toMatch(/gives a request on pi-1 8192 tokens/);
  });

  it("looks at the share of each request, which is all that one sees", () => {
    expect(warnings(trained, 8192, 2)).toEqual([]);
    expect(warnings(trained, 16384, 2)[0]).toMatch(
      /each of 2 requests .* 8192 tokens.* set it to 8192 or less/,
    );
  });

  it("says nothing where nobody has said what the model was trained for", () => {
    expect(warnings(recipe, 131072)).toEqual([]);
  });
});
