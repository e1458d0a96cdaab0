import { chmodSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { failureOf, Runner, StepFailed, type Step } from "./runner.ts";

const recipe = loadRecipe("smollm2-135m");

/** Stands in for the job runner: leaves one file under the key it is told, and notes that it was asked. */
const STAND_IN = `#!${process.execPath}
const { appendFileSync, mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const { fileURLToPath } = require("node:url");
const spec = JSON.parse(readFileSync(0, "utf8"));
appendFileSync(__dirname + "/asked", spec.name + "\\n");
if (spec.params.pruningRatio === 0.5) {
  console.error(spec.name + ": removes too much — remove less");
  process.exit(1);
}
const folder = fileURLToPath(spec.store) + "/artifacts/" + spec.key;
mkdirSync(folder, { recursive: true });
writeFileSync(folder + "/file", "made");
const { key, stage, name, run, params, inputs, toolVersions } = spec;
const files = { file: { sha256: "0".repeat(64), bytes: 4 } };
const rest = { files, metrics: { perplexity: 12 }, createdAt: "2026-11-23T00:00:00Z", seconds: 1, costUsd: 0 };
writeFileSync(folder + "/manifest.json", JSON.stringify({ schema: 1, key, stage, name, run, params, inputs, toolVersions, ...rest }));
`;

let folder: string;
let runner: Runner;
const asked = (): string[] => readFileSync(join(folder, "asked"), "utf8").trim().split("\n");
const fileOf = ({ key }: Step): string => join(folder, "store", "artifacts", key, "file");

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pipress-bench-"));
  const python = join(folder, "python.cjs");
  writeFileSync(python, STAND_IN);
  chmodSync(python, 0o755);
  writeFileSync(join(folder, "asked"), "");
  const llamaCpp = { version: "b1", sourceSha256: "0", hostBin: "/llama", convertScript: "/convert.py" };
  runner = new Runner(folder, recipe, { python, llamaCpp } as Toolchain);
});

function chain(pruningRatio = 0.1): { base: Step; pruned: Step; gguf: Step } {
  const base = runner.fetch("fetch", recipe.base);
  const pruned = runner.stage("prune", "prune", { pruningRatio }, { model: base });
  return { base, pruned, gguf: runner.stage("convert", "convert", { type: "f16" }, { model: pruned }) };
}

describe("Runner", () => {
  it("runs what a figure needs, once, upstream first", async () => {
    const { gguf } = chain();
    expect((await runner.measure(gguf)).metrics.perplexity).toBe(12);
    await runner.measure(chain().gguf);
    expect(asked()).toEqual(["fetch", "prune", "convert"]);
  });

  it("sheds files but not figures, and makes the files again where another case needs them", async () => {
    const { base, pruned, gguf } = chain();
    await runner.measure(gguf);
    await runner.shed(pruned, gguf);
    expect([base, pruned, gguf].map((step) => existsSync(fileOf(step)))).toEqual([true, false, false]);
    await runner.measure(gguf);
    expect(asked()).toHaveLength(3);
    await runner.measure(runner.stage("convert-again", "convert", { type: "bf16" }, { model: pruned }));
    expect(asked().slice(3)).toEqual(["prune", "convert-again"]);
  });

  it("says why a step failed, and gives what builds on it no figures", async () => {
    const failing = runner.measure(chain(0.5).gguf);
    await expect(failing).rejects.toThrow(StepFailed);
    await expect(failing).rejects.toThrow("removes too much — remove less");
    expect(asked()).toEqual(["fetch", "prune"]);
  });

  it("gives other parameters another key, and a peer the key of its own code and pins", () => {
    const { pruned, base } = chain();
    expect(chain(0.2).pruned.key).not.toBe(pruned.key);
    const params = { importance: "taylor", pruningRatio: 0.1 };
    const peer = runner.peer("torch-pruning", "torch-pruning", params, { model: base });
    expect(peer.toolVersions["torch-pruning"]).toBe("1.6.1");
    expect(peer.key).not.toBe(pruned.key);
  });
});

describe("failureOf", () => {
  it("finds the stage's own line among its progress", () => {
    const stderr = "prune 10 % · reading\nprune: it is NaN — fetch again\nprune: log: /tmp/log.txt\n";
    expect(failureOf("prune", stderr)).toBe("it is NaN — fetch again");
    expect(failureOf("prune", "")).toBe("it ended without a word");
  });
});
