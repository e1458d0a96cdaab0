import { mkdtempSync, mkdirSync, writeFileSync } from "node:fs";
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

  it("refuses a stage that declares no tools", () => {
    write("stages/prune.py", "x = 1\n");
    expect(() => readStageCode("prune", root)).toThrow("pipress.stages.prune declares no TOOLS");
  });
});
