import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";

const files = join(repoRoot, "toolchain", "bootstrap", "files.ts");

/** Runs `code` with the functions of files.ts and a `sync` that writes down what lay at `watched` when it was called. */
async function run(code: string, watched: string): Promise<string> {
  const bin = mkdtempSync(join(tmpdir(), "pipress-bin-"));
  const seen = join(bin, "seen");
  const script = `#!/bin/sh\n[ -e "${watched}" ] && state=there || state=missing\necho "$@ $state" >> "${seen}"\n`;
  writeFileSync(join(bin, "sync"), script, { mode: 0o755 });
  const program = `import { putInPlace, writeStamp } from ${JSON.stringify(files)}; ${code}`;
  await execa(process.execPath, ["--import", "tsx/esm", "--input-type=module", "--eval", program], {
    cwd: repoRoot,
    env: { PATH: `${bin}:${process.env["PATH"] ?? ""}` },
  });
  return readFileSync(seen, "utf8");
}

it("has a folder on the disk before it has its name", async () => {
  const root = mkdtempSync(join(tmpdir(), "pipress-files-"));
  const [part, target] = [join(root, "tool.part"), join(root, "deep", "tool")];
  mkdirSync(part);
  const seen = await run(`putInPlace(${JSON.stringify(part)}, ${JSON.stringify(target)})`, target);
  expect(seen).toBe(`--file-system ${part} missing\n`);
  expect([existsSync(part), existsSync(target)]).toEqual([false, true]);
});

it("replaces what stood there", async () => {
  const root = mkdtempSync(join(tmpdir(), "pipress-files-"));
  const [part, target] = [join(root, "new"), join(root, "tool")];
  for (const folder of [part, target]) mkdirSync(folder);
  writeFileSync(join(target, "old"), "");
  writeFileSync(join(part, "new"), "");
  await run(`putInPlace(${JSON.stringify(part)}, ${JSON.stringify(target)})`, part);
  expect([existsSync(join(target, "old")), existsSync(join(target, "new"))]).toEqual([false, true]);
});

it("marks a folder as complete when what it vouches for is on the disk", async () => {
  const stamp = join(mkdtempSync(join(tmpdir(), "pipress-files-")), ".complete");
  const seen = await run(`writeStamp(${JSON.stringify(stamp)}, "v1")`, stamp);
  expect(seen).toMatch(/^--file-system \/\S+ missing\n$/);
  expect(readFileSync(stamp, "utf8")).toBe("v1");
});
