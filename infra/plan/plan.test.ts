import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { stageSpec } from "../stage/job.ts";
import type { PlannedStage } from "../stage/planned.ts";
import { FileStore } from "../store/file-store.ts";
import { planStages } from "./plan.ts";

const root = mkdtempSync(join(tmpdir(), "pipress-plan-"));
const store = new FileStore(pathToFileURL(root).href);
const toolchain = { llamaCpp: { version: "b1", sourceSha256: "5eed" } } as Toolchain;
const dev = loadRecipe("smollm2-135m");
/** With recovery that knows no type. */
const recipe: Recipe = {
  ...dev,
  steps: {
    ...dev.steps,
    recover: { ...dev.steps.recover, quantizationAware: false } as Recipe["steps"]["recover"],
  },
};
const withSteps = (steps: Partial<Recipe["steps"]>): Recipe => ({
  ...recipe,
  steps: { ...recipe.steps, ...steps },
});

/** The plan of a recipe, by the names of its stages. */
async function plan(changed = recipe, tools = toolchain): Promise<Map<string, PlannedStage>> {
  const stages = await planStages(changed, {}, store, tools);
  return new Map(stages.map((stage) => [stage.name, stage]));
}

/** Names of the stages that have another key in one plan than in the other. */
function changed(before: Map<string, PlannedStage>, after: Map<string, PlannedStage>): string[] {
  return [...after.keys()].filter((name) => after.get(name)?.key !== before.get(name)?.key);
}

describe("a plan", () => {
  it("knows every stage's key before anything runs, and hands it to those that come after", async () => {
    const stages = await plan();
    const keys = [...stages.values()].map(({ key }) => key);
    expect(new Set(keys).size).toBe(keys.length);
    for (const { name, inputs, inputKeys } of stages.values()) {
      expect(Object.keys(inputKeys), name).toEqual(Object.keys(inputs));
      for (const [alias, input] of Object.entries(inputs))
        expect(inputKeys[alias], `${name} / ${alias}`).toBe(stages.get(input)?.key);
    }
    expect(changed(stages, await plan())).toEqual([]);
  });

  it("changes a stage and what is made of it where a parameter changes, and nothing before", async () => {
    const quantized = await plan(withSteps({ quantize: { type: "Q5_K_M" } }));
    const names = changed(await plan(), quantized);
    expect(names).toEqual(expect.arrayContaining(["quantize", "evaluate", "report"]));
    for (const name of ["fetch", "prune", "recover", "convert", "imatrix"]) expect(names).not.toContain(name);
  });

  it("tells `fetch` which steps its model is for, without another key", async () => {
    const [full, bare] = [await plan(), await plan(withSteps({ prune: undefined, recover: undefined }))];
    const spec = (stages: Map<string, PlannedStage>) =>
      stageSpec(stages.get("fetch") as PlannedStage, "run-1");
    expect(spec(full).neededFor).toEqual(["steps.prune", "steps.prune.ffnWidths", "steps.recover", "chats"]);
    expect(spec(bare).neededFor).toEqual(["chats"]);
    expect(spec(bare).key).toBe(spec(full).key);
  });

  it("changes what a tool makes where the tool changes, and gives each stage the versions of its own", async () => {
    const other = { llamaCpp: { version: "b2", sourceSha256: "5eed" } } as Toolchain;
    const [before, after] = [await plan(), await plan(recipe, other)];
    expect(changed(before, after)).toContain("quantize");
    expect(changed(before, after)).not.toContain("fetch-dataset");
    expect(before.get("quantize")?.toolVersions).toMatchObject({ "llama.cpp": "b1 5eed" });
    expect(before.get("prune")?.toolVersions).toMatchObject({
      torch: expect.stringMatching(/^\d/) as string,
    });
    expect(before.get("prune")?.toolVersions).not.toHaveProperty("llama.cpp");
  });

  it("trains anew for another type only where recovery knows it, and brings llama.cpp along there", async () => {
    const aware = (type: "Q4_K_M" | "Q3_K_M") => {
      const recover = { ...recipe.steps.recover, quantizationAware: true } as Recipe["steps"]["recover"];
      return plan(withSteps({ recover, quantize: { type } }));
    };
    const stages = await aware("Q4_K_M");
    expect(changed(stages, await aware("Q3_K_M"))).toContain("recover");
    expect(changed(stages, await plan())).toContain("recover");
    expect(stages.get("recover")?.toolVersions).toMatchObject({ "llama.cpp": "b1 5eed" });
    expect(stages.get("recover")).not.toHaveProperty("moreTools");
    expect((await plan()).get("recover")?.toolVersions).not.toHaveProperty("llama.cpp");
  });

  it("separates what a release is made of from what only measures", async () => {
    const stages = [...(await plan()).values()];
    const measuring = stages.filter(({ forRelease }) => !forRelease).map(({ name }) => name);
    for (const name of ["evaluate", "evaluate-base", "convert-base", "report"])
      expect(measuring).toContain(name);
    for (const name of ["fetch", "prune", "recover", "convert", "imatrix", "quantize"])
      expect(measuring).not.toContain(name);
  });

  it("finds the artifacts that the store has, each under its own stage", async () => {
    const { key = "" } = (await plan()).get("prune") ?? {};
    const manifest = {
      ...{ schema: 1, key, stage: "prune", name: "prune", run: "r7", params: {}, inputs: {}, files: {} },
      ...{ metrics: {}, toolVersions: {}, createdAt: "2026-11-23T00:00:00+00:00", seconds: 1, costUsd: 0 },
    };
    mkdirSync(join(root, "artifacts", key), { recursive: true });
    writeFileSync(join(root, "artifacts", key, "manifest.json"), JSON.stringify(manifest));
    const stored = [...(await plan()).values()].filter(({ artifact }) => artifact !== undefined);
    expect(stored.map(({ name, artifact }) => [name, artifact?.run])).toEqual([["prune", "r7"]]);
  });
});
