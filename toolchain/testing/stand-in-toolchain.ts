import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeToolchain } from "../toolchain.ts";

/**
 * Makes a shell script both the Python and the ansible-playbook of the toolchain in `cache`, for tests of what this side makes
 * of their output; `PIPRESS_CACHE` has to lead there.
 */
export function standInToolchain(cache: string, script: string): void {
  const program = join(cache, "stand-in");
  writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const digest = "0".repeat(64);
  const file = { sha256: digest, bytes: 1, path: "/x" };
  writeToolchain({
    python: program,
    ansiblePlaybook: program,
    llamaCpp: {
      ...{ version: "b1", sourceSha256: digest, sourceArchive: "/x", hostBin: "/x", convertScript: "/x" },
      release: { digest, dir: "/x", files: { "llama-server": file, "llama-bench": file } },
    },
    virtualPiImage: { dir: "/x", digest },
  });
}
