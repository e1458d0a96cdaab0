import { cpSync, mkdtempSync, mkdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { readStageCode } from "./code.ts";

let root: string;
const write = (path: string, text: string): void => writeFileSync(join(root, "pipress", path), text);

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "pipress-code-"));
  mkdirSync(join(root, "pipress", "stages"), { recursive: true });
  write("stages/fetch_dataset.py", 'import pipress.texts\nTOOLS = ("numpy",)\n');
  write("texts.py", "from pipress import (\n    digests,\n)\n");
  write("digests.py", "A = 1\n");
  write("unrelated.py", "B = 1\n");
});

describe("readStageCode", () => {
  it("reads the tools that a stage declares", () => {
    expect(readStageCode("fetch-dataset", root).tools).toEqual(["numpy"]);
  });

  it("changes with a module that is imported through another, and not with one that is not imported", () => {
    const before = readStageCode("fetch-dataset", root).digest;
    write("unrelated.py", "B = 2\n");
    expect(readStageCode("fetch-dataset", root).digest).toBe(before);
    write("digests.py", "A = 2\n");
    expect(readStageCode("fetch-dataset", root).digest).not.toBe(before);
  });

  it("follows every way to import a module: of a package, of a name in it, of several, within a function", () => {
    write("stages/fetch_dataset.py", "TOOLS = ()\n");
    for (const [statement, module] of [
      ["import pipress.one", "one.py"],
      ["from pipress.two import thing", "two.py"],
      ["from pipress import three", "three.py"],
      ["from pipress import other, four as renamed", "four.py"],
      ["def later():\n    from pipress.five import thing", "five.py"],
      ["def later():\n    import pipress.six", "six.py"],
    ] as const) {
      write("stages/fetch_dataset.py", `${statement}\nTOOLS = ()\n`);
      write(module, "A = 1\n");
      const before = readStageCode("fetch-dataset", root).digest;
      write(module, "A = 2\n");
      expect(readStageCode("fetch-dataset", root).digest, statement).not.toBe(before);
    }
  });

  it("reads a package's own module, and passes over what is not there and modules that import each other", () => {
    mkdirSync(join(root, "pipress", "store"));
    write("store/__init__.py", "from pipress.texts import f\n");
    write("texts.py", "import pipress.store\nfrom pipress.nowhere import g\n");
    const before = readStageCode("fetch-dataset", root).digest;
    write("store/__init__.py", "from pipress.texts import f  # changed\n");
    expect(readStageCode("fetch-dataset", root).digest).not.toBe(before);
  });

  it("is the same in every clone, and another one where a module has another name", () => {
    const [first, before] = [root, readStageCode("fetch-dataset", root)];
    root = mkdtempSync(join(tmpdir(), "pipress-code-"));
    cpSync(first, root, { recursive: true });
    expect(readStageCode("fetch-dataset", root)).toEqual(before);
    write("texts.py", "from pipress import (\n    renamed,\n)\n");
    write("renamed.py", "A = 1\n");
    const renamed = readStageCode("fetch-dataset", root).digest;
    write("renamed.py", "");
    expect(new Set([before.digest, renamed, readStageCode("fetch-dataset", root).digest]).size).toBe(3);
  });

  it("reads every tool, over several lines and in either kind of quotes", () => {
    write(
      "stages/prune.py",
      `TOOLS: tuple[str, ...] = (\n    "torch",\n    'llama.cpp',\n)\nOTHER = ("numpy",)\n`,
    );
    expect(readStageCode("prune", root).tools).toEqual(["torch", "llama.cpp"]);
    write("stages/prune.py", "TOOLS = ()\n");
    expect(readStageCode("prune", root).tools).toEqual([]);
  });

  it("refuses a stage that declares no tools", () => {
    write("stages/prune.py", "x = 1\n");
    expect(() => readStageCode("prune", root)).toThrow("pipress.stages.prune declares no TOOLS");
  });
});
