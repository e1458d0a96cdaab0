import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";

/** What appears in such a folder without changing what a play does. */
const ignored = /^(__pycache__|\.ansible|\.pytest_cache|\.ruff_cache|\.cache)$|\.(pyc|retry)$|(^|_)test_.*\.py$|^conftest\.py$|\.md$/;

/**
 * SHA-256 (hex) over names and contents of all files of a folder of playbooks and roles. Tests and documents do not
 * count: no host differs because of them.
 *
 * @param folder default: `ansible/` of this repository
 */
export function ansibleDigest(folder = join(repoRoot, "ansible")): string {
  const hash = createHash("sha256");
  for (const name of listFiles(folder)) {
    const content = createHash("sha256").update(readFileSync(join(folder, name))).digest("hex");
    hash.update(`${name}\0${content}\n`);
  }
  return hash.digest("hex");
}

function listFiles(folder: string, prefix = ""): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true })
    .filter(({ name }) => !ignored.test(name))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
      if (entry.isDirectory()) return listFiles(folder, path);
      // A link leads to a file that something outside of the folder is made by, too.
      return entry.isFile() || entry.isSymbolicLink() ? [path] : [];
    });
}
