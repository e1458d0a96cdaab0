import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { expect, it } from "vitest";
import type { SshBuilderConfig } from "../../config/schema.ts";
import { lookAtJobs } from "./remote.ts";

it("jobs are looked at with the source that was sent last, not with one that is being unpacked", async () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress it's "));
  for (const [source, sentAt] of Object.entries({
    aaaaaaaaaaaaaaaa: 1,
    bbbbbbbbbbbbbbbb: 2,
    "cccccccccccccccc.Xy": 3,
  })) {
    const root = join(folder, "cache", "builder", source);
    mkdirSync(join(root, "models", "pipress"), { recursive: true });
    writeFileSync(
      join(root, "models", "pipress", "__main__.py"),
      `import sys; print("${source}", sys.argv[1:])`,
    );
    utimesSync(root, sentAt, sentAt);
  }
  const { stdout } = await execa("sh", ["-c", lookAtJobs({ folder } as SshBuilderConfig, ["list", "--all"])]);
  expect(stdout).toContain("bbbbbbbbbbbbbbbb ['jobs', '--dir'");
  expect(stdout).toContain("/data/jobs");
  expect(stdout).toContain("'list', '--all']");
  rmSync(folder, { recursive: true });
});
