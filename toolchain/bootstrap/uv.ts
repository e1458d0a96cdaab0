import { copyFileSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { UserError } from "../../common/user-error.ts";
import { putInPlace } from "./files.ts";
import { findOnPath } from "./find-on-path.ts";
import { layout } from "./layout.ts";
import { withLock } from "./lock.ts";
import { UV_MINIMUM, UV_VERSION } from "./pins.ts";
import { ask, runTool } from "./process.ts";
import type { TaskContext } from "./task.ts";
import { suits } from "./version.ts";

export interface Uv {
  path: string;
  /** Keeps uv's downloads and Pythons in the cache folder, on the file system of the environments it links into. */
  env: Record<string, string>;
  chosen: string;
}

/**
 * A uv on PATH that suits, else the pinned one from the package index, brought by the system's own pip. Tasks that run side
 * by side ask for it: one of them installs it, the others wait.
 */
export async function ensureUv(ctx: TaskContext): Promise<Uv> {
  const { uv: home, lock } = layout(ctx.cacheDir);
  const env = { UV_CACHE_DIR: join(home, "cache"), UV_PYTHON_INSTALL_DIR: join(home, "python") };
  const own = join(home, UV_VERSION, "uv");
  const pinned = { path: own, env, chosen: `uv ${UV_VERSION} from the package index` };
  if (existsSync(own)) return pinned;
  const onPath = findOnPath("uv");
  if (
    onPath !== undefined &&
    suits((await ask(onPath, ["--version"])) ?? "", UV_MINIMUM, { anyMajor: true })
  ) {
    return { path: onPath, env, chosen: `uv from PATH (${onPath})` };
  }
  const onWait = () => {
    ctx.progress("another task installs uv; waiting");
  };
  await withLock(lock("uv"), onWait, async () => {
    if (!existsSync(own)) await installUv(ctx, own);
  });
  return pinned;
}

async function installUv(ctx: TaskContext, target: string): Promise<void> {
  ctx.progress(`installing uv ${UV_VERSION}`);
  const python = findOnPath("python3");
  if (python === undefined || (await ask(python, ["-c", "import ensurepip, venv"])) === undefined) {
    throw new UserError({
      where: "python / uv",
      what: "python3 cannot make virtual environments, and there is no uv on PATH",
      remedy: "on Debian or Ubuntu run: sudo apt-get install -y --no-install-recommends python3-venv",
    });
  }
  const venv = `${target}.venv`;
  rmSync(venv, { recursive: true, force: true });
  const where = "python / uv";
  await runTool({ ...ctx, where, command: python, args: ["-m", "venv", venv] });
  const strictly = ["--require-hashes", "--only-binary=:all:", "--disable-pip-version-check"];
  await runTool({
    ...ctx,
    where,
    command: join(venv, "bin", "python"),
    args: ["-m", "pip", "install", ...strictly, "-r", join(import.meta.dirname, "uv.lock")],
    remedy: "check that this machine reaches a Python package index, then run the same command again",
  });
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(join(venv, "bin", "uv"), `${target}.part`);
  putInPlace(`${target}.part`, target);
  rmSync(venv, { recursive: true, force: true });
}
