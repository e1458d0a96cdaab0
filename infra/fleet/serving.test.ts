import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { loadFleet } from "../config/fleet.ts";
import { parseStackConfig } from "../config/load.ts";
import { modelOf, servedModels } from "../config/served-models.ts";
import { FileStore } from "../store/file-store.ts";
import { allCosts, allStages, planServings } from "./serving.ts";

const store = new FileStore(pathToFileURL(mkdtempSync(join(tmpdir(), "pipress-serving-"))).href);
const toolchain = { llamaCpp: { version: "b1", sourceSha256: "5eed" } } as Toolchain;

/** Plans the models of a stack as it is written. */
async function plan(written: Record<string, unknown>) {
  const config = parseStackConfig(
    Object.fromEntries(
      Object.entries(written).map(([key, value]) => [
        `pipress:${key}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  );
  const models = servedModels(config);
  const fleet = await loadFleet(config, "/nowhere/ansible-playbook");
  return { models, fleet, servings: await planServings({ config, models, fleet, store, toolchain }) };
}

const small = { model: "smollm2-135m", server: { contextLength: 1024 } };
const hosts = [
  { name: "pi-0", virtual: {} },
  { name: "pi-1", virtual: {}, group: "small" },
  { name: "pi-2", virtual: {}, group: "attic" },
];

describe("the models of a stack", () => {
  it("are its own, and those of groups, each served by its own hosts under their settings", async () => {
    const { models, fleet, servings } = await plan({
      ...{ model: "qwen3-0.6b", server: { contextLength: 4096 }, hosts },
      groups: { small, attic: { labels: { ring: 1 } } },
    });
    expect(
      servings.map(({ model, prefix, hosts: of }) => [model.name, prefix, of.map(({ name }) => name)]),
    ).toEqual([
      ["qwen3-0.6b", "", ["pi-0", "pi-2"]],
      ["smollm2-135m", "small-", ["pi-1"]],
    ]);
    expect(servings.map(({ server }) => server.contextLength)).toEqual([4096, 1024]);
    expect(fleet.map((host) => modelOf(models, host).name)).toEqual([
      "qwen3-0.6b",
      "smollm2-135m",
      "qwen3-0.6b",
    ]);
    expect(fleet.map(({ server }) => server.contextLength)).toEqual([4096, 1024, 4096]);
  });

  it("have stages and costs by names of their own, and system prompts of their own hosts alone", async () => {
    const { servings } = await plan({
      ...{ recipe: "smollm2-360m", hosts },
      groups: {
        small: { ...small, server: { systemPrompt: "You are brief." } },
        attic: { labels: { ring: 1 } },
      },
    });
    const names = allStages(servings).map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(names).toEqual(
      expect.arrayContaining(["fetch", "quantize", "small-fetch", "small-system-prompt-main"]),
    );
    expect(names).not.toContain("system-prompt-main");
    expect([...allCosts(servings).keys()].sort()).toEqual(names.sort());
  });

  it("are planned where a host serves them, and of a stack without hosts its own", async () => {
    const everywhere = await plan({ recipe: "smollm2-360m", hosts: [hosts[1]], groups: { small } });
    expect(everywhere.servings.map(({ prefix }) => prefix)).toEqual(["small-"]);
    const nowhere = await plan({ recipe: "smollm2-360m" });
    expect(nowhere.servings.map(({ prefix }) => prefix)).toEqual([""]);
  });

  it("are refused where there is none of a name, by the group that has it", async () => {
    const wrong = plan({ recipe: "smollm2-360m", hosts, groups: { small: { model: "smolm2-135m" } } });
    await expect(wrong).rejects.toThrow(
      'pipress:groups.small.model: the catalogue has no model "smolm2-135m" — did you mean "smollm2-135m"?',
    );
    const alike = plan({ recipe: "smollm2-135m", hosts, groups: { small } });
    await expect(alike).rejects.toThrow(
      'pipress:groups.small.model: is called "smollm2-135m", as another model of this stack is',
    );
    const twice = await plan({ model: "smollm2-135m", hosts: [hosts[0], hosts[1]], groups: { small } });
    expect(twice.servings).toHaveLength(2);
    const two = plan({ recipe: "smollm2-360m", hosts, groups: { small: { ...small, recipe: "x" } } });
    await expect(two).rejects.toThrow("pipress:groups.small.model: is one model too many");
  });
});
