import { readFileSync } from "node:fs";
import { join } from "node:path";
import { cacheDir, repoRoot } from "../../../common/paths.ts";
import { digestOf } from "../../../infra/stage/canonical.ts";
import { runTool } from "../../../toolchain/bootstrap/process.ts";
import { ensureUv } from "../../../toolchain/bootstrap/uv.ts";

const LOCK = join(repoRoot, "tests", "fleet", "open-webui", "requirements.lock");

/** Open WebUI as its lock pins it, from the Python package index: 1.3 GB in the cache folder. @returns its program */
export async function ensureOpenWebUi(): Promise<string> {
  const where = "test:fleet / Open WebUI";
  const home = join(cacheDir(), "open-webui", digestOf(readFileSync(LOCK, "utf8")).slice(0, 16));
  const ctx = { cacheDir: cacheDir(), signal: new AbortController().signal, progress: () => undefined };
  const { path: command, env } = await ensureUv(ctx);
  const remedy = "check that this machine reaches a Python package index, then run the same command again";
  console.error(`${where}: installing it, where it is not yet`);
  const python = ["venv", "--quiet", "--allow-existing", "--python", "3.11", home];
  // What the lock leaves out is not to be looked for.
  const packages = ["pip", "install", "--python", home, "--no-deps", "--require-hashes", "-r", LOCK];
  for (const args of [python, packages]) await runTool({ where, command, env, args, remedy });
  return join(home, "bin", "open-webui");
}
