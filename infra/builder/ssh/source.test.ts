import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { packSource } from "./source.ts";

const tar = (archive: Buffer, ...args: string[]) =>
  execFileSync("tar", args, { input: archive, encoding: "utf8" });

describe("packSource", () => {
  it("packs what a builder machine needs and nothing of the tests, the same every time", () => {
    const { digest, archive } = packSource();
    expect(packSource().digest).toBe(digest);
    const names = tar(archive, "-tzf", "-").trim().split("\n");
    for (const name of [
      "models/pipress/stages/prune.py",
      "models/pipress/builder/prepare.py",
      "models/schemas/recipe.schema.json",
      "models/requirements.lock",
      "toolchain/bootstrap/uv.lock",
      "toolchain/bootstrap/pypi_download.py",
      "toolchain/llama-cpp/cmake/build-less.cmake",
    ])
      expect(names).toContain(name);
    expect(names.filter((name) => /test|__pycache__/.test(name))).toEqual([]);
    const settings = JSON.parse(tar(archive, "-xzOf", "-", "builder.json")) as { venv: string };
    const lock = tar(archive, "-xzOf", "-", "models/requirements.lock");
    expect(settings.venv).toBe(createHash("sha256").update(lock).digest("hex").slice(0, 16));
  });
});
