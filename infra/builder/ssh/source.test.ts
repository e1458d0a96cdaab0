import { createHash } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { packSource } from "./source.ts";

/** Paths in an uncompressed tar archive, and the content of one of them. */
function unpack(archive: Buffer): Map<string, string> {
  const files = new Map<string, string>();
  for (let at = 0; archive[at] !== 0;) {
    const field = (start: number, length: number) =>
      archive.toString("utf8", at + start, at + start + length).replace(/\0.*$/s, "");
    const size = Number.parseInt(field(124, 12), 8);
    files.set(field(0, 100), archive.toString("utf8", at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

describe("packSource", () => {
  it("packs what a builder machine needs and nothing of the tests, the same every time", () => {
    const { digest, archive } = packSource();
    expect(packSource().digest).toBe(digest);
    const files = unpack(gunzipSync(archive));
    const names = [...files.keys()];
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
    const settings = JSON.parse(files.get("builder.json") ?? "") as { venv: string };
    const lock = files.get("models/requirements.lock") ?? "";
    expect(settings.venv).toBe(createHash("sha256").update(lock).digest("hex").slice(0, 16));
  });
});
