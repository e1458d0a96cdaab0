import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { sshdMissing, startSshd, type TestSshd } from "../ssh/testing/sshd.ts";
import { closeConnections, runPlaybook } from "./run.ts";
import { makePlayFolder, playRun, type PlayFolder } from "./testing/play-folder.ts";

// The real ansible-playbook against a real sshd, on which `id` and `sudo` are stand-ins: tests run as whoever runs them.
describe.skipIf(sshdMissing)("what the role preflight says of Python and sudo", { timeout: 120_000 }, () => {
  let folder: string;
  let sshd: TestSshd;
  let play: PlayFolder;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pipress-sudo-"));
    for (const program of ["sh", "cat", "mkdir", "rm"]) await symlink(`/bin/${program}`, join(folder, program));
    await standIn("id", "echo 1000");
    sshd = await startSshd("pi-0", { PATH: folder });
    play = await makePlayFolder(
      `- ansible.builtin.import_role: { name: "${repoRoot}/ansible/roles/preflight", tasks_from: python.yml }`,
    );
  });
  afterAll(async () => {
    await closeConnections();
    await play.remove();
    await sshd.remove();
    await rm(folder, { recursive: true });
  });

  async function standIn(program: string, script: string): Promise<void> {
    const path = join(folder, program);
    await writeFile(path, `#!/bin/sh\n${script}\n`);
    await chmod(path, 0o755);
  }

  /** Runs the role; `sudo` is a script, or not there. */
  async function run(sudo: string | undefined): Promise<void> {
    await rm(join(folder, "sudo"), { force: true });
    if (sudo !== undefined) await standIn("sudo", sudo);
    await runPlaybook(playRun(play, sshd.host));
  }

  test("sudo without a password is fine", async () => {
    await run('[ "$*" = "-n true" ]');
  });

  test("a password, no sudo and no permission each have their own message", async () => {
    // In another language than English, unless it is asked for that.
    const password = `[ "$LC_ALL" = C ] && echo "sudo: a password is required" >&2; exit 1`;
    await expect(run(password)).rejects.toThrow(/sudo asks the user for a password — let it do without.*NOPASSWD/);
    await expect(run(undefined)).rejects.toThrow(/there is no sudo on the host — `apt-get install sudo`/);
    await expect(run("echo 'pi is not in the sudoers file.'; exit 1")).rejects.toThrow(
      /sudo refuses the user \(pi is not in the sudoers file\.\) — see `sudo -l`/,
    );
  });
});
