import { join } from "node:path";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";

/** One linter's command line, run from the root of the clone. */
export interface Linter {
  name: string;
  command: string;
  args: readonly string[];
  cwd?: string;
  env?: Record<string, string>;
}

const PYTHON_FOLDERS = ["models", "ansible", "toolchain", "tests"];

/** What `.dependency-cruiser.cjs` holds to its layers. */
const LAYERED = ["cli", "common", "toolchain", "infra", "stacks", "bench", "tests"];

/**
 * Every linter as data. `shellScripts` are the clone's shell scripts, for the one linter that does not look for them itself.
 */
export function linters(shellScripts: readonly string[]): Linter[] {
  const node = (name: string) => join(repoRoot, "node_modules", ".bin", name);
  const bin = join(pythonEnvironment(cacheDir()).folder, "bin");
  return [
    { name: "tsc", command: node("tsc"), args: [] },
    { name: "eslint", command: node("eslint"), args: ["."] },
    { name: "layers", command: node("depcruise"), args: ["--config", ".dependency-cruiser.cjs", ...LAYERED] },
    { name: "prettier", command: node("prettier"), args: ["--check", "--log-level=warn", "."] },
    { name: "ruff check", command: join(bin, "ruff"), args: ["check", "--no-cache", ...PYTHON_FOLDERS] },
    {
      name: "ruff format",
      command: join(bin, "ruff"),
      args: ["format", "--check", "--no-cache", ...PYTHON_FOLDERS],
    },
    {
      name: "ansible-lint",
      command: join(bin, "ansible-lint"),
      args: ["--profile=production", "--offline", "--nocolor"],
      cwd: join(repoRoot, "ansible"),
      env: { PATH: `${bin}:${process.env.PATH ?? ""}` },
    },
    { name: "shellcheck", command: "shellcheck", args: shellScripts },
  ];
}
