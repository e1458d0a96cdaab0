import { join } from "node:path";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { runTool } from "../../toolchain/bootstrap/process.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";
import { ensureUv } from "../../toolchain/bootstrap/uv.ts";

const LOCK = join(repoRoot, "bench", "store", "awscli.lock");

/** The AWS CLI that `bench:store` measures itself by, from the Python package index: the command line to run it. */
export async function ensureAwsCli(): Promise<string[]> {
  const installation = join(cacheDir(), "aws-cli");
  const { python } = pythonEnvironment(cacheDir());
  const ctx = { cacheDir: cacheDir(), signal: new AbortController().signal, progress: () => undefined };
  const uv = await ensureUv(ctx);
  console.error("bench:store: installing the AWS CLI, where it is not yet");
  await runTool({
    where: "bench:store / AWS CLI",
    command: uv.path,
    env: uv.env,
    args: ["pip", "install", "--python", python, "--target", installation, "--require-hashes", "-r", LOCK],
    remedy: "check that this machine reaches a Python package index, then run the same command again",
  });
  return ["env", `PYTHONPATH=${installation}`, python, "-m", "awscli"];
}
