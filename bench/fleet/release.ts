import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import type { ServedFile } from "../../infra/ansible/content-server.ts";
import { makeRelease, type Release } from "../../infra/fleet/release.ts";

/** A release so small that nothing but the way it takes costs time. */
export interface TrivialRelease {
  files: readonly ServedFile[];
  /** Variables of the playbooks in `plays/`, without those that differ from host to host. */
  vars: { pipress_release: Release; pipress_llama_cpp_version: string };
}

/** Where the files lie in the folder, as an artifact does in a store. */
export const ARTIFACT = "0".repeat(64);
const build = 11434;
/** What group_vars/all/server-arguments.yml starts a server with; the role llama_cpp asks the program whether it knows them. */
const flags = readFileSync(join(repoRoot, "ansible", "group_vars", "all", "server-arguments.yml"), "utf8")
  .match(/--[a-z][a-z-]+/g)
  ?.join(" ");

/** Writes a model of random bytes and a program that answers `--version` and `--help` as llama-server does. */
export function makeTrivialRelease(folder: string, modelBytes = 1_000_000): TrivialRelease {
  const content = Buffer.alloc(modelBytes, randomBytes(Math.min(modelBytes, 1_000_000)));
  const model = writeFile(folder, "model.gguf", content);
  const script = `#!/bin/sh\n# ${randomBytes(8).toString("hex")}\necho 'version: 0 (build ${build}) ${flags}'\n`;
  const server = writeFile(folder, "llama-server", Buffer.from(script));
  const release = makeRelease({
    name: "nothing",
    model,
    server,
    settings: {
      contextLength: 2048,
      threads: 4,
      parallel: 1,
      port: 8080,
      minTokensPerSecond: 0,
      cacheType: "f16",
      speculation: "none",
      ui: false,
      flags: {},
    },
    memoryMax: 2 ** 30,
    smokeTest: { prompt: "What is the capital of France?", expect: "Paris", maxTokens: 16 },
  });
  return {
    files: [model, server],
    vars: { pipress_release: release, pipress_llama_cpp_version: `b${build}` },
  };
}

function writeFile(folder: string, name: string, content: Buffer): ServedFile {
  const path = join(folder, "artifacts", ARTIFACT, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return {
    sha256: createHash("sha256").update(content).digest("hex"),
    bytes: content.length,
    path,
    remedy: "run it again",
  };
}
