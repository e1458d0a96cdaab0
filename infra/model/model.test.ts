import { describe, expect, it } from "vitest";
import { parseStackConfig } from "../config/load.ts";
import { shapeOfConfig } from "../prediction/shape.ts";
import { fileBytes } from "../prediction/file-size.ts";
import type { Quantization } from "../prediction/quantize-types.ts";
import { fromCatalogue, readCatalogue } from "./catalogue.ts";
import { describeModel, isRecipe, loadModel } from "./model.ts";
import { compileSchema } from "../../common/json-schema.ts";
import { loadRecipe } from "../recipe/recipe.ts";
import { defaultServer, type WrittenModel } from "./ready-model.ts";

const digest = "0".repeat(64);
const hub = { repo: "a/b", file: "Some Model-Q4_K_M.gguf", sha256: digest };

describe("a model that is ready", () => {
  it("has a name, a question and settings where nothing is said of them", () => {
    const model = loadModel({ model: { huggingFace: hub } });
    expect(model).toMatchObject({
      name: "some-model-q4_k_m",
      source: { huggingFace: hub },
      server: defaultServer,
    });
    expect(model.smokeTest.expect).toBe("\\w");
    expect(isRecipe(model)).toBe(false);
    expect(describeModel(model)).toBe("model some-model-q4_k_m");
  });

  it("may say beforehand that it embeds, as those of the catalogue do", () => {
    expect(loadModel({ model: { huggingFace: hub, pooling: "last" } })).toMatchObject({ pooling: "last" });
    expect(loadModel({ model: "bge-small-en-v1.5" })).toMatchObject({ pooling: "cls" });
    expect(loadModel({ model: "qwen3-0.6b" })).not.toHaveProperty("pooling");
  });

  it("has the settings that recipes have by default", () => {
    const bare = {
      name: "x",
      base: { source: { local: { path: "/x", sha256: digest } } },
      steps: { quantize: { type: "Q4_0" } },
    };
    const filled = { ...bare, smokeTest: loadRecipe("smollm2-135m").smokeTest, server: {} };
    compileSchema("recipe")(filled);
    expect(filled.server).toEqual(defaultServer);
  });

  const problems = (model: unknown, more: Record<string, string> = {}): string[] => {
    try {
      parseStackConfig({
        "pipress:model": typeof model === "string" ? model : JSON.stringify(model),
        ...more,
      });
      return [];
    } catch (error) {
      return (error as Error).message.split("\n");
    }
  };

  it.each<[string, unknown, string]>([
    ["no source", {}, "pipress:model: needs one of huggingFace, local, pypi"],
    ["two sources", { huggingFace: hub, local: { path: "/m.gguf", sha256: digest } }, "takes only one of"],
    [
      "a branch",
      { huggingFace: { ...hub, revision: "main" } },
      "pipress:model.huggingFace.revision: must be a full commit hash",
    ],
    [
      "neither digest nor commit",
      { huggingFace: { repo: "a/b", file: "c.gguf" } },
      "must name the file's sha256 or a revision",
    ],
    [
      "another kind of file",
      { huggingFace: { ...hub, file: "model.safetensors" } },
      "must be the path of a .gguf file",
    ],
    ["a relative path", { local: { path: "m.gguf", sha256: digest } }, "must be an absolute path"],
    ["a slip", { hugingFace: hub }, 'did you mean "huggingFace"?'],
    [
      "an expression that is none",
      { huggingFace: hub, smokeTest: { prompt: "a", expect: "(" } },
      "must be a regular expression",
    ],
    [
      "an answer of an embedding model",
      { huggingFace: hub, pooling: "cls", smokeTest: { prompt: "a", expect: "b" } },
      "pipress:model.smokeTest: has no place beside pooling",
    ],
    ["another pooling", { huggingFace: hub, pooling: "max" }, "pipress:model.pooling"],
    ["a list", [], "must be a name of the catalogue, or a model with"],
  ])("is refused with %s", (_, model, message) => {
    expect(problems(model).join("\n")).toContain(message);
  });

  it("takes the place of a recipe, and does not stand beside one", () => {
    expect(problems("smollm2-135m")).toEqual([]);
    expect(problems("smollm2-135m", { "pipress:recipe": "x" }).join()).toContain(
      "pipress:model: is one model too many",
    );
  });
});

describe("the catalogue", () => {
  const entries = Object.entries(readCatalogue().models);

  it("names its models, and the nearest to a slip", () => {
    expect(fromCatalogue("qwen3-0.6b")).toMatchObject({ name: "qwen3-0.6b", smokeTest: { maxTokens: 24 } });
    expect(() => loadModel({ model: "qwen3-0.6" })).toThrow(
      'pipress:model: the catalogue has no model "qwen3-0.6" — did you mean "qwen3-0.6b"?',
    );
    expect(() => loadModel({ model: "nothing" })).toThrow("`./pipress models` lists them");
  });

  it.each(entries)(
    "has the shape of %s: its file is as large as published",
    (name, { config, type, bytes }) => {
      const predicted = fileBytes(shapeOfConfig(config), {
        type: type as Quantization["type"],
        imatrix: false,
      });
      // Phi-3.5 has tables for long contexts, and two matrices in one; BGE a vector for each position.
      const more: Record<string, number> = { "phi-3.5-mini": 0.04, "bge-small-en-v1.5": 0.02 };
      expect(Math.abs(predicted / bytes - 1)).toBeLessThan(more[name] ?? 0.005);
    },
  );

  it("pins every file by its digest, so that a model is what a stack can write out too", () => {
    for (const [, { source }] of entries) {
      expect((source.huggingFace ?? source.pypi)?.sha256).toMatch(/^[0-9a-f]{64}$/);
      expect(problemsOf(source)).toEqual([]);
    }
  });
});

function problemsOf(source: Omit<WrittenModel, "name" | "smokeTest">): string[] {
  try {
    parseStackConfig({ "pipress:model": JSON.stringify(source) });
    return [];
  } catch (error) {
    return (error as Error).message.split("\n");
  }
}
