import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { PeerPackages } from "../../bench/compression/runner.ts";
import { cacheDir, repoRoot } from "../../infra/paths.ts";
import { replaceFolder } from "../bootstrap/files.ts";
import { pythonEnvironment } from "../bootstrap/python.ts";
import { runTool } from "../bootstrap/process.ts";
import { ensureUv } from "../bootstrap/uv.ts";

const LOCK = join(repoRoot, "tools", "bench", "torch-pruning.lock");

/** Torch-Pruning, which `bench:compression` measures pruning by, in a folder of its own beside the pinned packages. */
export async function ensureTorchPruning(): Promise<PeerPackages> {
  const version = /^torch-pruning==(\S+)/m.exec(readFileSync(LOCK, "utf8"))?.[1] ?? "";
  const folder = join(cacheDir(), "torch-pruning", version);
  if (!existsSync(folder)) {
    const ctx = { cacheDir: cacheDir(), signal: new AbortController().signal, progress: () => undefined };
    const uv = await ensureUv(ctx);
    const part = `${folder}.part`;
    rmSync(part, { recursive: true, force: true });
    console.error(`bench:compression: installing Torch-Pruning ${version}`);
    const { python } = pythonEnvironment(cacheDir());
    // It runs on the torch and NumPy that are there.
    const packages = ["--no-deps", "--require-hashes", "-r", LOCK];
    await runTool({
      ...ctx,
      where: "bench:compression / Torch-Pruning",
      command: uv.path,
      env: uv.env,
      args: ["pip", "install", "--python", python, "--target", part, ...packages],
      remedy: "check that this machine reaches a Python package index, then run the same command again",
    });
    replaceFolder(part, folder);
  }
  return { folder, pins: { "torch-pruning": version } };
}
