import { expect, it } from "vitest";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { shapeOfConfig } from "../../infra/prediction/shape.ts";
import { compare } from "./compare.ts";
import { partsOf } from "./parts.ts";

it("sets a part's figures beside what is predicted of them, and leaves out making the model", () => {
  const recipe = loadRecipe("llama-3.1-8b-pruned");
  const [release] = partsOf(recipe, loadRecipe("llama-3.1-8b"));
  if (release === undefined) throw new Error("the part is missing");
  const stage = { seconds: 60, peakRssBytes: 2e9, peakAnonymousBytes: 1e9, fileBytes: null, metrics: {} };
  const rows = compare(
    release,
    {
      shape: { ...shapeOfConfig(release.config) },
      stages: [
        { ...stage, name: "model" },
        { ...stage, name: "prune" },
        { ...stage, name: "quantize", fileBytes: 3.95e9 },
      ],
      server: { secondsToReady: 25.3, peakRssBytes: 4.3e9 },
      machine: { class: "AMD EPYC", cores: 2, memoryBytes: 24 * 2 ** 30 },
    },
    recipe.server,
  );
  expect(rows.map((row) => [row.case, row.metric, row.baseline !== undefined])).toEqual([
    ["prune by ffn-activation", "seconds", true],
    ["prune by ffn-activation", "peak_anonymous_bytes", false],
    ["prune by ffn-activation", "peak_rss_bytes", false],
    ["quantize", "file_bytes", true],
    ["quantize", "seconds", true],
    ["quantize", "peak_anonymous_bytes", false],
    ["quantize", "peak_rss_bytes", false],
    ["llama-server", "peak_rss_bytes", true],
    ["llama-server ready, emulated", "seconds", false],
  ]);
});
