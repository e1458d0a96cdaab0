import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { replaceFolder } from "../../toolchain/bootstrap/files.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";
import { runTool } from "../../toolchain/bootstrap/process.ts";
import { ensureUv } from "../../toolchain/bootstrap/uv.ts";

const LOCK = join(repoRoot, "bench", "store", "awscli.lock");
const VERSION = "1.46.3";

/** The AWS CLI that `bench:store` measures itself by, from the Python package index: the command line to run it. */
export async function ensureAwsCli(): Promise<string[]> {
  const installation = join(cacheDir(), "aws-cli", VERSION);
  const { python } = pythonEnvironment(cacheDir());
  if (!existsSync(installation)) {
    const ctx = { cacheDir: cacheDir(), signal: new AbortController().signal, progress: () => undefined };
    const uv = await ensureUv(ctx);
    const part = `${installation}.part`;
    rmSync(part, { recursive: true, force: true });
    console.error(`bench:store: installing the AWS CLI ${VERSION}`);
    await runTool({
      ...ctx,
      where: "bench:store / AWS CLI",
      command: uv.path,
      env: uv.env,
      args: ["pip", "install", "--python", python, "--target", part, "--require-hashes", "-r", LOCK],
      remedy: "check that this machine reaches a Python package index, then run the same command again",
    });
    replaceFolder(part, installation);
  }
  return ["env", `PYTHONPATH=${installation}`, python, "-m", "awscli"];
}
