import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { repoRoot } from "../../common/paths.ts";

/** A copy of the working tree without what git ignores, for `use` to put bugs into; it is removed in any case. */
export async function withCopy<Result>(use: (copy: string) => Promise<Result>): Promise<Result> {
  const copy = mkdtempSync(join(tmpdir(), "pipress-mutation-"));
  try {
    const { stdout } = await execa("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
      cwd: repoRoot,
    });
    for (const path of stdout.split("\0").filter(Boolean)) cpSync(join(repoRoot, path), join(copy, path));
    symlinkSync(join(repoRoot, "node_modules"), join(copy, "node_modules"));
    return await use(copy);
  } finally {
    rmSync(copy, { recursive: true });
  }
}
