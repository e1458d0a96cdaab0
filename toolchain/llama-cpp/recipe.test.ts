import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { llamaCppPin, securityFloor } from "./pin.ts";
import {
  type BuildRecipe,
  cmakeFolder,
  cpuIdentity,
  hostRecipe,
  kernelFolder,
  piRecipe,
  recipeDigest,
} from "./recipe.ts";

describe("the recipe for the Pi", () => {
  const recipe = piRecipe();

  it("builds only what the fleet runs", () => {
    expect(recipe.targets).toEqual(["llama-server", "llama-bench"]);
  });

  it("never looks at the builder's own CPU", () => {
    expect(recipe.cmakeArgs).toContain("-DGGML_NATIVE=OFF");
    expect(recipe.cmakeArgs).toContain("-DGGML_CPU_ARM_ARCH=armv8-a");
  });

  it("leaves out what would open the server to more of the network", () => {
    for (const off of [
      "GGML_RPC",
      "LLAMA_OPENSSL",
      "LLAMA_SUBPROCESS",
      "LLAMA_BUILD_UI",
      "LLAMA_USE_PREBUILT_UI",
    ]) {
      expect(recipe.cmakeArgs).toContain(`-D${off}=OFF`);
    }
  });
});

it.each(["common", "cortex-a72"])(
  "the options in %s are all read: here and by the device's script",
  (name) => {
    const text = readFileSync(join(cmakeFolder, `${name}.options`), "utf8");
    for (const line of text.trim().split("\n")) expect(line).toMatch(/^(# .+|-D[A-Z_]+=[A-Za-z0-9-]+)$/);
  },
);

describe("a cached build", () => {
  it("is not trusted on another CPU", () => {
    expect(recipeDigest(hostRecipe("cpu with avx512"))).not.toBe(recipeDigest(hostRecipe("cpu without")));
  });

  it("is made anew for changed kernels where it has them: for the Pi", () => {
    const withoutKernels = (recipe: BuildRecipe): BuildRecipe => ({
      ...recipe,
      ownFolders: Object.fromEntries(
        Object.entries(recipe.ownFolders).filter(([, folder]) => folder !== kernelFolder),
      ),
    });
    const host = hostRecipe("cpu");
    expect(recipeDigest(withoutKernels(host))).toBe(recipeDigest(host));
    expect(recipeDigest(withoutKernels(piRecipe()))).not.toBe(recipeDigest(piRecipe()));
  });

  it("knows where the clone lies only through a placeholder", () => {
    for (const recipe of [piRecipe(), hostRecipe("cpu")]) {
      expect(recipe.cmakeArgs.filter((argument) => /=\//.test(argument))).toEqual([]);
    }
  });
});

it("tells CPUs apart by model and features, not by clock or core number", () => {
  const one = "processor\t: 0\nmodel name\t: X\ncpu MHz\t\t: 2100\nflags\t\t: sse avx\n\nprocessor\t: 1\n";
  const other = one.replace("2100", "3000");
  expect(cpuIdentity(one)).toBe("model name\t: X\nflags\t\t: sse avx");
  expect(cpuIdentity(other)).toBe(cpuIdentity(one));
});

it("pins a build above the security floor", () => {
  expect(llamaCppPin.build).toBeGreaterThanOrEqual(securityFloor);
});
