import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { architectureOf, layoutNames, layoutProblems, neededFor } from "./layouts.ts";
import { loadRecipe, type Recipe } from "./recipe.ts";

const full = loadRecipe("smollm2-135m");
const perLayer = {
  ...full,
  steps: {
    ...full.steps,
    prune: { ...full.steps.prune, method: "ffn-second-order", ffnWidths: "per-layer" },
  },
} as Recipe;
const plain = loadRecipe("qwen2.5-1.5b");
const wheres = (recipe: Recipe, architecture?: string) =>
  layoutProblems(recipe, architecture, "a.yaml").map(({ where }) => where);

describe("a recipe's architecture", () => {
  it("is what base.config says, or a folder of this machine", () => {
    expect(architectureOf(plain)).toBe("Qwen2ForCausalLM");
    expect(architectureOf(full)).toBeUndefined();
    const path = mkdtempSync(join(tmpdir(), "pipress-base-"));
    const local = { ...full, base: { source: { local: { path, sha256: "0".repeat(64) } } } } as Recipe;
    expect(architectureOf(local)).toBeUndefined();
    writeFileSync(join(path, "config.json"), '{"architectures": ["Gemma2ForCausalLM"]}');
    expect(architectureOf(local)).toBe("Gemma2ForCausalLM");
    writeFileSync(join(path, "config.json"), "{");
    expect(architectureOf(local)).toBeUndefined();
  });

  it("may be any where no step works on its layers", () => {
    expect(layoutProblems(plain, "Gemma2ForCausalLM", "a.yaml")).toEqual([]);
    expect(neededFor(plain)).toEqual(["chats"]);
    const [chat] = plain.datasets.calibration.map((dataset) => ({ ...dataset, format: "chat" as const }));
    const own = { calibration: [chat], evaluation: [chat] } as Recipe["datasets"];
    expect(neededFor({ ...plain, datasets: own })).toEqual([]);
  });

  it("is refused by every step that does", () => {
    expect(neededFor(perLayer)).toEqual(expect.arrayContaining(["steps.prune", "steps.prune.ffnWidths"]));
    expect(wheres(perLayer, "Gemma2ForCausalLM")).toEqual(["a.yaml: steps.prune", "a.yaml: steps.recover"]);
    expect(wheres(perLayer, "Qwen3ForCausalLM")).toEqual(["a.yaml: steps.prune.ffnWidths"]);
    for (const architecture of [undefined, "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"])
      expect(wheres(perLayer, architecture)).toEqual([]);
  });

  it("has the layouts that the stages know", () => {
    const code = readFileSync(join(repoRoot, "models", "pipress", "weights", "layouts.py"), "utf8");
    for (const name of layoutNames.split(", ")) expect(code).toContain(name);
    expect(code.match(/Layout\("/g)).toHaveLength(3); // a Mistral is read as a Llama
  });
});
