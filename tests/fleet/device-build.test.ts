import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { root } from "./fleet.ts";
import { closeWorkspace, openWorkspace } from "./kept-workspace.ts";
import { smallRecipe } from "./small-recipe.ts";

// `build: onDevice` with all of it real but the silicon: an emulated Pi that installs Debian's compiler and compiles the pinned
// llama.cpp, which takes an emulated one longer than anything else here. With PIPRESS_FLEET_DIR the machine is kept, and a
// build that was cut off goes on there.
const host = { name: "maker", virtual: { memory: "3 GiB", cpus: 2, disk: "8 GiB" }, build: "onDevice" };

const hours = 3_600_000;
const workspace = openWorkspace("device-build");

beforeAll(async () => {
  workspace.recipe(await smallRecipe(join(workspace.dir, "small-model")));
  workspace.configure({ recipe: workspace.recipeFile, hosts: [host] });
  await workspace.init();
  await workspace.cancel();
});

afterAll(() => closeWorkspace(workspace));

it("serves what it compiled itself", { timeout: 5 * hours }, async () => {
  const { exitCode, output } = await workspace.up();
  expect(exitCode, output).toBe(0);

  const { sha256 } = JSON.parse(await onHost("cat", `${root}/builds/*.json`)) as { sha256: string };
  expect(basename(await onHost("readlink", "-f", `${root}/current/llama-server`))).toBe(sha256);
  expect(await onHost("sha256sum", `${root}/store/${sha256}`)).toContain(sha256);
  // Linked against the host's own libraries, where the release is static.
  expect(await onHost("ldd", `${root}/store/${sha256}`)).toContain("libstdc++.so");
  const [begun = NaN, ended = NaN] = (await onHost("stat", "-c", "%W,%Y", `${root}/builds/*.log`))
    .split(",")
    .map(Number);
  console.log(`compiled in ${((ended - begun) / 60).toFixed(0)} minutes`);
});

it("compiles nothing again", async () => {
  expect(await workspace.preview()).toEqual([]);
});

async function onHost(...argv: string[]): Promise<string> {
  const { exitCode, output } = await workspace.onHost(host.name, ...argv);
  expect(exitCode, output).toBe(0);
  return output.trim();
}
