import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { sha256, writeStamp } from "./files.ts";
import { layout } from "./layout.ts";
import { PYTHON_MINIMUM } from "./pins.ts";
import { runTool } from "./process.ts";
import type { TaskContext } from "./task.ts";
import { ensureUv } from "./uv.ts";

const LOCK = join(repoRoot, "models", "requirements.lock");
const DEV_LOCK = join(repoRoot, "models", "requirements-dev.lock");

/** Where the environment of the present lock file is, its commands in `bin/`, whether it is there or not. */
export function pythonEnvironment(cacheDir: string) {
  const folder = layout(cacheDir).venv(sha256(readFileSync(LOCK)).slice(0, 16));
  const bin = join(folder, "bin");
  return { folder, python: join(bin, "python"), ansiblePlaybook: join(bin, "ansible-playbook") };
}

/** Whether the environment is complete, linters and pytest included when `dev` is set. */
export function pythonIsReady(cacheDir: string, { dev = false } = {}): boolean {
  const { folder, python } = pythonEnvironment(cacheDir);
  // python is a link to the system's: after an upgrade of that it may lead nowhere.
  return existsSync(python) && existsSync(join(folder, stampName(dev)));
}

function stampName(dev: boolean): string {
  return dev ? `.complete-dev-${sha256(readFileSync(DEV_LOCK)).slice(0, 16)}` : ".complete";
}

/**
 * The environment that `models/requirements.lock` pins, linters and pytest in it too when `dev` is set (same
 * versions of all the rest). One that was cut short is gone on with: uv keeps what it downloaded.
 */
export async function ensurePython(ctx: TaskContext, { dev = false } = {}): Promise<string> {
  const { folder, python } = pythonEnvironment(ctx.cacheDir);
  const uv = await ensureUv(ctx);
  const tool = {
    ...ctx,
    command: uv.path,
    env: uv.env,
    logFile: join(layout(ctx.cacheDir).logs, "python.log"),
  };
  if (!existsSync(python)) {
    ctx.progress(`making ${folder}`);
    await runTool({
      ...tool,
      where: "python / environment",
      args: ["venv", "--allow-existing", "--python", `>=${PYTHON_MINIMUM}`, folder],
      remedy: `install Python ${PYTHON_MINIMUM} or newer (Debian 12, Ubuntu 24.04: python3; Ubuntu 22.04: python3.11)`,
    });
  }
  const lock = dev ? DEV_LOCK : LOCK;
  ctx.progress(`installing what ${lock.slice(repoRoot.length + 1)} pins (5.4 GB with torch's libraries)`);
  await runTool({
    ...tool,
    where: "python / packages",
    args: ["pip", "install", "--python", python, "--require-hashes", "-r", lock],
    remedy:
      "check disk space and that this machine reaches a Python package index, then run the same command again",
  });
  writeStamp(join(folder, stampName(dev)));
  if (dev) writeStamp(join(folder, stampName(false)));
  return uv.chosen;
}
