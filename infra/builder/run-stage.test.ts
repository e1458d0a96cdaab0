/** The launcher as a stage's command starts it, from a clone somewhere else: nothing but standard input tells it what to do. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { launcher } from "../stage/stage.ts";
import type { StageJob, StageSpec } from "../stage/job.ts";

const folder = mkdtempSync(join(tmpdir(), "pipress-launcher-"));
const key = "ab".repeat(32);
const spec: StageSpec = {
  ...{ stage: "convert", name: "convert-base", key, run: "r1", forRelease: false, params: {} },
  ...{ inputs: {}, toolVersions: {} },
};

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Runs the command in a folder of the clone, as the engine's plugin does. */
function launch(job: StageJob, cwd: string) {
  return execa("sh", ["-c", launcher], {
    cwd,
    input: JSON.stringify(job),
    env: { PIPRESS_DATA: join(folder, "data"), PIPRESS_CACHE: join(folder, "cache") },
    reject: false,
  });
}

function putArtifact(store: string): void {
  const manifest = {
    ...{ schema: 1, key, stage: "convert", name: "convert-base", run: "r0", params: {}, inputs: {} },
    ...{ files: { "model.gguf": { sha256: "cd".repeat(32), bytes: 1 } }, metrics: {}, toolVersions: {} },
    ...{ createdAt: "2026-01-01T00:00:00+00:00", seconds: 1, costUsd: 0 },
  };
  mkdirSync(join(store, "artifacts", key), { recursive: true });
  writeFileSync(join(store, "artifacts", key, "manifest.json"), JSON.stringify(manifest));
}

it("says in one line what is missing where bootstrap has not run", async () => {
  const { exitCode, stderr, stdout } = await launch({ spec, store: "default" }, repoRoot);
  expect(exitCode).toBe(1);
  expect(stdout).toBe("");
  expect(stderr).toContain("the toolchain is missing or of another version");
  expect(stderr.split("\n")).toHaveLength(1);
});

it.each(["default", "named"])("prints an artifact of the %s store, without any tool", async (name) => {
  const root = join(folder, name === "default" ? "data/store" : "store");
  putArtifact(root);
  const store = name === "default" ? name : pathToFileURL(root).href;
  // As the engine starts plugins: in the folder of the program.
  const { exitCode, stdout, stderr } = await launch({ spec, store }, join(repoRoot, "stacks"));
  expect(exitCode, stderr).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    ...{ key, stage: "convert", run: "r0", files: { "model.gguf": { sha256: "cd".repeat(32), bytes: 1 } } },
    ...{ metrics: {}, seconds: 1 },
  });
  expect(stdout).not.toContain(folder);
});
