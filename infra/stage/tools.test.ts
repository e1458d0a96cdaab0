import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { selectPins, toolPins } from "./tools.ts";

const toolchain = { llamaCpp: { version: "b1", sourceSha256: "5eed" } } as Toolchain;

it.each(["requirements.lock", "requirements-dev.lock"])("every package that %s pins is a pin", (lock) => {
  const { "llama.cpp": llamaCpp, ...packages } = toolPins(toolchain, lock);
  const lines = readFileSync(join(repoRoot, "models", lock), "utf8").split("\n");
  // One that is pinned anew for each Python is there several times.
  const pinned = lines.filter((line) => /^\w/.test(line)).map((line) => line.split(/[ ;\\]/)[0] ?? "");
  expect(Object.keys(packages)).toEqual([...new Set(pinned.map((pin) => pin.split("==")[0]))]);
  for (const [name, version] of Object.entries(packages)) expect(pinned).toContain(`${name}==${version}`);
  expect(pinned.length).toBeGreaterThan(20);
  expect(llamaCpp).toBe("b1 5eed");
});

it("a plan's pins are those that stages run with", () => {
  expect(toolPins(toolchain)).toEqual(toolPins(toolchain, "requirements.lock"));
});

it("a stage gets the pins that it declares, and no others", () => {
  expect(selectPins({ numpy: "2", torch: "3", "llama.cpp": "b1" }, ["numpy", "llama.cpp"])).toEqual({
    "llama.cpp": "b1",
    numpy: "2",
  });
  expect(selectPins({ numpy: "2" }, [])).toEqual({});
});

it("a tool that is pinned nowhere is named", () => {
  expect(() => selectPins({ numpy: "2" }, ["numpy", "nunpy"])).toThrow(/"nunpy".*requirements\.lock/);
});
