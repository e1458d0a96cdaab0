import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { findOnPath } from "./find-on-path.ts";
import { UV_VERSION } from "./pins.ts";
import { ask } from "./process.ts";
import { ensureUv } from "./uv.ts";

describe("ensureUv", () => {
  let cacheDir: string;
  beforeEach(() => (cacheDir = mkdtempSync(join(tmpdir(), "uv-"))));
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(cacheDir, { recursive: true });
  });

  it("installs it once for two tasks that ask at the same time", { timeout: 300_000 }, async () => {
    const path = (process.env.PATH ?? "").split(":");
    vi.stubEnv("PATH", path.filter((folder) => findOnPath("uv", folder) === undefined).join(":"));
    const lines: string[] = [];
    const ctx = {
      cacheDir,
      signal: new AbortController().signal,
      progress: (line: string) => {
        lines.push(line);
      },
    };
    const installed = await Promise.all([ensureUv(ctx), ensureUv(ctx)]);
    expect(installed[0]).toEqual(installed[1]);
    expect(await ask(installed[0].path, ["--version"])).toContain(UV_VERSION);
    expect(lines.filter((line) => line.startsWith("installing uv"))).toHaveLength(1);
    expect(lines).toContain("another task installs uv; waiting");
  });
});
