import { mkdtempSync, rmSync } from "node:fs";
import { chmod, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repoRoot } from "../../../../common/paths.ts";
import type { Machine } from "../../../ssh/machine.ts";
import { startSshd } from "../../../ssh/testing/sshd.ts";

/** Hosts on loopback, one of each kind that a preflight has to tell apart: real sshds, real Ansible. */
export interface TestHosts {
  /** Nothing is wrong with it. Its board is a stand-in: `board-stand-in/sitecustomize.py`. */
  good: Machine;
  /** Nobody listens there. */
  off: Machine;
  /** Has another host key than the one that is expected. */
  impostor: Machine;
  /** Its sudo asks for a password; `id` and `sudo` are stand-ins, as tests run as whoever runs them. */
  locked: Machine;
  remove(): Promise<void>;
}

export async function startHosts(): Promise<TestHosts> {
  const folder = mkdtempSync(join(tmpdir(), "pipress-hosts-"));
  const program = async (name: string, script: string) => {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, name), 0o755);
  };
  for (const name of ["sh", "cat", "mkdir", "rm"]) await symlink(`/bin/${name}`, join(folder, name));
  await program("id", "echo 1000");
  await program("sudo", "echo 'sudo: a password is required' >&2; exit 1");
  const board = join(repoRoot, "infra", "fleet", "preflight", "testing", "board-stand-in");
  const [good, off, impostor, locked] = await Promise.all([
    startSshd("pi-1", { PYTHONPATH: board }),
    startSshd("pi-2"),
    startSshd("pi-3"),
    startSshd("pi-4", { PATH: folder }),
  ]);
  await off.stop();
  return {
    good: good.host,
    off: off.host,
    impostor: { ...impostor.host, hostKey: good.host.hostKey },
    locked: locked.host,
    remove: async () => {
      await Promise.all([good, off, impostor, locked].map((sshd) => sshd.remove()));
      rmSync(folder, { recursive: true });
    },
  };
}
