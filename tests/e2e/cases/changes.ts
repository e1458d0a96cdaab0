import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { artifacts, changedNames, expectStillServing, quick } from "../scenario.ts";
import type { Workspace } from "../workspace.ts";

/** What runs again when something changes, and what does not. */
export function changes(workspace: Workspace): void {
  const store = join(workspace.data, "store", "artifacts");

  describe("a changed quantization", () => {
    it("plans quantize, evaluate, a look at the host and the host, and its rivals of size and speed; not prune, recover or convert", async () => {
      workspace.recipe({ ...quick, "steps.quantize.type": "Q5_K_M" });
      expect(changedNames(await workspace.preview())).toEqual([
        "evaluate",
        "evaluate-baseline",
        "evaluate-baseline-speed",
        "pi-0",
        "preflight",
        "quantize",
        "quantize-baseline",
        "quantize-baseline-speed",
        "report",
        "wave-1",
      ]);
    });

    it("reaches the host, and going back runs no stage at all", async () => {
      const moved = await workspace.up();
      expect(moved.exitCode, moved.output).toBe(0);
      const before = readdirSync(store).sort();
      workspace.recipe(quick);
      const back = await workspace.up();
      expect(back.exitCode, back.output).toBe(0);
      expect(back.output).toMatch(/all \d+ stages are in the store/);
      expect(readdirSync(store).sort()).toEqual(before);
      await expectStillServing(workspace);
    });
  });

  describe("an artifact deleted from the store", () => {
    it("is made again by the next up, and so is nothing else", async () => {
      const before = artifacts(workspace);
      rmSync(join(store, before.imatrix?.key ?? "none"), { recursive: true });
      expect(changedNames(await workspace.preview())).toEqual(["imatrix", "preflight"]);
      const { exitCode, output } = await workspace.up();
      expect(exitCode, output).toBe(0);
      const after = artifacts(workspace);
      const remade = Object.keys(after).filter((name) => after[name]?.createdAt !== before[name]?.createdAt);
      expect(remade).toEqual(["imatrix"]);
      expect(await workspace.preview()).toEqual([]);
    });
  });
}
