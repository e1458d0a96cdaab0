import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Outputs } from "../e2e/scenario.ts";
import { ask } from "./fleet.ts";
import { closeWorkspace, openWorkspace } from "./kept-workspace.ts";
import { smallRecipe } from "./small-recipe.ts";

// The attention of Llama-2-7B: as many KV heads as heads, so that a token's keys and values take 512 KiB, four times those of
// Llama-3-8B. Nearly all that the service takes is its KV cache, which llama.cpp fills with zeros when it starts.
const attention = { num_hidden_layers: 32, num_attention_heads: 32, num_key_value_heads: 32, head_dim: 128 };
const bytesPerToken = 2 * 32 * 32 * 128 * 2;
const contextLength = 2048;

const host = { name: "many-heads", virtual: { memory: "3 GiB", cpus: 2, disk: "4 GiB" } };
const workspace = openWorkspace("memory-limit");

beforeAll(async () => {
  workspace.recipe({
    ...(await smallRecipe(join(workspace.dir, "model"), attention)),
    "server.contextLength": contextLength,
  });
  workspace.configure({ recipe: workspace.recipeFile, hosts: [host] });
  await workspace.init();
  await workspace.cancel();
});

afterAll(() => closeWorkspace(workspace));

it("serves a model with as many KV heads as heads within the memory limit of its unit", async () => {
  const { exitCode, output } = await workspace.up();
  expect(exitCode, output).toBe(0);
  const { apiKey, baseUrl } = await workspace.outputs<Outputs>();
  expect(await ask(baseUrl, apiKey)).toBe("answers");

  const [limit = 0, peak = 0] = (
    await onHost("cd /sys/fs/cgroup/system.slice/pipress-llama.service; cat memory.max memory.peak")
  )
    .split("\n")
    .map(Number);
  expect(peak).toBeGreaterThan(contextLength * bytesPerToken);
  expect(peak).toBeLessThan(limit);
  expect(await onHost("systemctl show --property=NRestarts --value pipress-llama.service")).toBe("0");
});

async function onHost(script: string): Promise<string> {
  const { exitCode, output } = await workspace.onHost(host.name, script);
  expect(exitCode, output).toBe(0);
  return output.trim();
}
