import { join } from "node:path";
import { execa } from "execa";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";
import { codeOf, type Area } from "./areas.ts";
import { sample, type Mutant } from "./mutant.ts";
import type { Trial, Trials } from "./trial.ts";

/** What `mutants.py list` prints. */
type Listed = Omit<Mutant, "change"> & { operator: string; occurrence: number };

/** Bugs by Cosmic Ray's operators: each is written into a copy for its turn. */
export async function pythonTrials(
  area: Area,
  copies: readonly string[],
  count: number,
  seed: number,
): Promise<Trials> {
  const [first = ""] = copies;
  const { python } = pythonEnvironment(cacheDir());
  const script = async (args: readonly string[], input = ""): Promise<unknown> => {
    const path = join(repoRoot, "tests", "mutation", "mutants.py");
    const { stdout } = await execa(python, [path, ...args], { cwd: first, input });
    return JSON.parse(stdout);
  };
  const chosen = sample((await script(["list", ...codeOf(area, first)])) as Listed[], count, seed);
  const texts = (await script(["apply"], JSON.stringify(chosen))) as string[];
  return {
    mutants: chosen.map(({ file, line, column, operator }, index): Trial => {
      const text = texts[index] ?? "";
      const change = `${text.split("\n")[line - 1]?.trim() ?? ""}  (${operator})`;
      return { file, line, column: column + 1, change, text };
    }),
    // Compiled code is told apart by time and size alone, which two mutants can share.
    env: (copy) => ({ PYTHONPATH: join(copy, "models"), PYTHONDONTWRITEBYTECODE: "1" }),
    command: (tests) => [
      python,
      "-m",
      "pytest",
      "-qx",
      "-p",
      "no:cacheprovider",
      "--import-mode=importlib",
      ...tests,
    ],
    testsOf: (name) => `test_${name}`,
  };
}
