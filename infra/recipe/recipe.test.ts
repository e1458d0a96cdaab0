import { mkdtempSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { repoRoot } from "../../common/paths.ts";
import { loadRecipe } from "./recipe.ts";

const recipes = readdirSync(join(repoRoot, "models", "recipes"));
const dev = readFileSync(join(repoRoot, "models", "recipes", "smollm2-135m.yaml"), "utf8");
const llama = readFileSync(join(repoRoot, "models", "recipes", "llama-3.1-8b-pruned.yaml"), "utf8");

function problems(text: string): string[] {
  const path = join(mkdtempSync(join(tmpdir(), "pipress-recipe-")), "mine.yaml");
  writeFileSync(path, text);
  try {
    loadRecipe(path);
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.problems.map(({ where, what }) => `${where}: ${what}`);
  }
}

describe("loadRecipe", () => {
  it.each(recipes)("accepts %s as it is shipped", (file) => {
    expect(loadRecipe(file.replace(".yaml", "")).name).toBe(file.replace(".yaml", ""));
  });

  it("fills in the defaults that the schema names", () => {
    const recipe = loadRecipe("smollm2-135m");
    expect(recipe.steps.prune).toMatchObject({ sequenceLength: 512 });
  });

  it("reports every problem at once, by its path, with the nearest known key", () => {
    const text = dev
      .replace("pruningRatio: 0.10", "pruningRatoi: 0.10")
      .replace(/quantize: \{ type: \w+ \}/, "quantize: { type: Q4_K_X }")
      .replace("rank: 16", "rank: 0");
    const messages = problems(text).join("\n");
    expect(messages).toContain("mine.yaml: steps.prune.pruningRatio: is required");
    expect(messages).toContain(
      'mine.yaml: steps.prune.pruningRatoi: unknown key; did you mean "pruningRatio"?',
    );
    expect(messages).toContain("mine.yaml: steps.quantize.type: must be one of F32, ");
    expect(messages).toContain("mine.yaml: steps.recover.rank: must be >= 1");
  });

  it("says what stands for one another, and what takes two steps to see", () => {
    const quantizing = (text: string) =>
      problems(
        dev
          .replace(/quantize: \{ type: \w+ \}/, `quantize: ${text}`)
          .replace(/quantizationAware: true/, "control: false"),
      );
    const one = "mine.yaml: steps.quantize: takes exactly one of `type` and `objective`";
    expect(quantizing("{ type: Q4_0, objective: { maxFileSize: 9 MB } }").join()).toContain(one);
    expect(quantizing("{}").join()).toContain(one);
    expect(quantizing("{ objective: { maxFileSize: 9 MB, quality: { kld: 1 } } }").join()).toContain(
      "mine.yaml: steps.quantize.objective: takes exactly one of `maxFileSize` and `quality`",
    );
    expect(quantizing("{ objective: { maxFileSize: 96 MB } }")).toEqual([]);
    expect(quantizing("{ type: Q4_0, tensorTypes: { ffn_middle: Q8_0 } }")).toEqual([
      "mine.yaml: steps.quantize.tensorTypes.ffn_middle: matches no tensor of a Llama",
    ]);
    expect(problems(dev.replace("method: ffn-second-order", "method: mixed"))).toEqual([
      "mine.yaml: steps.prune.ffnWidths: the method mixed does not say how wide each layer should be",
    ]);
  });

  it("takes conversations as a data set, and says where they would not be read", () => {
    const chats = dev.replace("format: lines", "format: chat");
    expect(problems(chats)).toEqual([]);
    expect(problems(chats.replace("chats: { tokens: 2048 }", "chats: { share: 0 }"))).toEqual([
      "mine.yaml: chats.share: is 0, and the conversations of `datasets` would not be read",
    ]);
    expect(problems(dev.replace("format: lines", "format: chats"))).toEqual([
      "mine.yaml: datasets.evaluation.0.format: must be one of text, lines, jsonl, mediawiki, chat",
    ]);
  });

  it("wants a pinned revision, a name and an attribution as the license asks, and sizes with units", () => {
    const text = llama
      .replace(/revision: \w+/, "revision: main")
      .replace("modelName: Llama", "modelName: Small-Llama")
      .replace("Built with Llama", "Built at home")
      .replace("3.99 GB\n", "3.99 gigs\n");
    const messages = problems(text);
    expect(messages).toHaveLength(4);
    expect(messages.join("\n")).toContain("base.source.huggingFace.revision: must match");
    expect(messages.join("\n")).toContain("base.license.modelName: must match");
    expect(messages.join("\n")).toContain("base.license.attribution: must match");
    expect(messages.join("\n")).toContain("limits.maxFileSize: must match");
  });

  it("explains a pattern by what it is for", () => {
    const path = join(mkdtempSync(join(tmpdir(), "pipress-recipe-")), "mine.yaml");
    writeFileSync(path, llama.replace(/revision: \w+/, "revision: main"));
    expect(() => loadRecipe(path)).toThrow("— Full commit hash: a branch name would let the model change");
  });

  it("says what is not YAML and which recipe was probably meant", () => {
    expect(problems("name: [")[0]).toContain("is not YAML");
    expect(() => loadRecipe("smolm2-135m")).toThrow(
      'pipress:recipe: there is no recipe "smolm2-135m" — did you mean "smollm2-135m"?',
    );
    expect(() => loadRecipe("/nowhere/r.yaml")).toThrow("there is no file /nowhere/r.yaml");
  });
});
