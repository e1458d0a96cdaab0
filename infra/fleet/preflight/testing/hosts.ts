import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { chmod, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { repoRoot } from "../../../../common/paths.ts";
import type { Machine } from "../../../ssh/machine.ts";
import { hostKey } from "../../../ssh/testing/host-key.ts";
import { startSshd } from "../../../ssh/testing/sshd.ts";

/** Hosts on loopback, one of each kind that a preflight has to tell apart: real sshds, real Ansible. */
export interface TestHosts {
  /** Nothing is wrong with it. Its board is a stand-in, `board-stand-in/sitecustomize.py`, and so is sudo, which would hide that. */
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
  const program = async (host: string, name: string, script: string) => {
    mkdirSync(join(folder, host), { recursive: true });
    await writeFile(join(folder, host, name), `#!/bin/sh\n${script}\n`);
    await chmod(join(folder, host, name), 0o755);
  };
  await program(
    "good",
    "sudo",
    'while [ "${1#-}" != "$1" ]; do [ "$1" = -u ] && shift; shift; done; exec "$@"',
  );
  await program("locked", "id", "echo 1000");
  await program("locked", "sudo", "echo 'sudo: a password is required' >&2; exit 1");
  const path = (host: string) => `${join(folder, host)}:/usr/bin:/bin`;
  const board = join(repoRoot, "infra", "fleet", "preflight", "testing", "board-stand-in");
  const [good, off, impostor, locked] = await Promise.all([
    startSshd("pi-1", { PATH: path("good"), PYTHONPATH: board }),
    startSshd("pi-2"),
    startSshd("pi-3"),
    startSshd("pi-4", { PATH: path("locked") }),
  ]);
  await off.stop();
  return {
    good: good.host,
    off: off.host,
    impostor: { ...impostor.host, hostKey },
    locked: locked.host,
    remove: async () => {
      await Promise.all([good, off, impostor, locked].map((sshd) => sshd.remove()));
      rmSync(folder, { recursive: true });
    },
  };
}
