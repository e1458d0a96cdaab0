import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { repoRoot } from "../../../common/paths.ts";
import { packTar, type TarFile } from "../../../common/tar.ts";
import { UV_VERSION } from "../../../toolchain/bootstrap/pins.ts";
import { llamaCppPin } from "../../../toolchain/llama-cpp/pin.ts";
import { cmakePlaceholder, hostRecipe } from "../../../toolchain/llama-cpp/recipe.ts";
import { leftOut } from "../../../toolchain/llama-cpp/source.ts";

/** What a builder machine needs of this repository to run stages, packed, under the digest of its content. */
export interface PackedSource {
  digest: string;
  archive: Buffer;
}

/** Folders and files of the repository that go to a builder machine; tests stay here. */
const parts = [
  "models/pipress",
  "models/schemas",
  "models/requirements.lock",
  "toolchain/bootstrap/uv.lock",
  "toolchain/bootstrap/pypi_download.py",
  "toolchain/llama-cpp/cmake",
];

/** Packs the code as it is in this clone, so that a stage's key and what runs under it cannot differ. */
export function packSource(root = repoRoot): PackedSource {
  const files = parts.flatMap((part) => filesOf(root, part)).sort();
  const entry = (path: string, content: string | Buffer): TarFile => ({ path, mode: 0o644, content });
  const archive = packTar([
    ...files.map((path) => entry(path, readFileSync(join(root, path)))),
    entry("builder.json", JSON.stringify(builderSettings(root), null, 2)),
  ]);
  return {
    digest: createHash("sha256").update(archive).digest("hex").slice(0, 16),
    archive: gzipSync(archive),
  };
}

function filesOf(root: string, path: string): string[] {
  if (/\.(lock|py)$/.test(path)) return [path];
  return readdirSync(join(root, path), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
    .filter((file) => !/__pycache__|\/testing\/|\/(test_[^/]*|conftest)\.py$/.test(file));
}

/** The pins that `models/pipress/builder/prepare.py` puts in place. */
function builderSettings(root: string) {
  const lock = readFileSync(join(root, "models", "requirements.lock"));
  const { package: name, packageVersion, archive, sha256, tree } = llamaCppPin;
  // The machine's part of the recipe is the builder machine's own: it fills it in there.
  const { targets, cmakeArgs } = hostRecipe("");
  return {
    uvVersion: UV_VERSION,
    venv: createHash("sha256").update(lock).digest("hex").slice(0, 16),
    llamaCpp: {
      package: name,
      packageVersion,
      archive,
      sha256,
      tree,
      leftOut,
      targets,
      cmakeArgs,
      cmakePlaceholder,
    },
  };
}
