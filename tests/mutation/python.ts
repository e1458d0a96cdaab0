import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";
import { codeOf, type Area } from "./areas.ts";
import { sample, type Mutant } from "./mutant.ts";
import type { Trials } from "./trial.ts";

interface Rewritten extends Mutant {
  /** The whole file with the bug in it. */
  text: string;
}

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
    mutants: chosen.map(({ file, line, column, operator }, index): Rewritten => {
      const text = texts[index] ?? "";
      const change = `${text.split("\n")[line - 1]?.trim() ?? ""}  (${operator})`;
      return { file, line, column: column + 1, change, text };
    }),
    withMutant: async (mutant, copy, run) => {
      const path = join(copy, mutant.file);
      const before = readFileSync(path);
      writeFileSync(path, (mutant as Rewritten).text);
      try {
        // Compiled code is told apart by time and size alone, which two mutants can share.
        return await run({ PYTHONPATH: join(copy, "models"), PYTHONDONTWRITEBYTECODE: "1" });
      } finally {
        writeFileSync(path, before);
      }
    },
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
