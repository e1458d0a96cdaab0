import { join } from "node:path";
import { execa } from "execa";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { pythonEnvironment } from "../toolchain/bootstrap/python.ts";

/** `npm run jobs -- ls|logs|stop ...`: looks at and stops the detached jobs of stages. */
export async function main(args: string[]): Promise<number> {
  await bootstrap();
  const { python } = pythonEnvironment(cacheDir());
  const models = join(repoRoot, "models");
  const PYTHONPATH = [models, process.env.PYTHONPATH].filter(Boolean).join(":");
  const job = await execa(python, ["-m", "pipress", "jobs", ...args], {
    stdio: "inherit",
    reject: false,
    env: { PYTHONPATH },
  });
  return job.exitCode ?? 1;
}
