import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Gives the tests a temporary folder of their own, and removes it with all that they leave there. */
export default function temporaryFolder(): () => void {
  // Short: names of sockets below it have a hundred characters at most.
  const folder = mkdtempSync(join(tmpdir(), "pp-"));
  process.env.TMPDIR = folder;
  return () => {
    rmSync(folder, { recursive: true, force: true });
  };
}
