import { chmod, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { sshdMissing, startSshd, type TestSshd } from "../ssh/testing/sshd.ts";
import { closeConnections, runPlaybook } from "./run.ts";
import { sudoPasswordVariable, sudoVars } from "./sudo-password.ts";
import { makePlayFolder, playRun, type PlayFolder } from "./testing/play-folder.ts";

// The real ansible-playbook against a real sshd, on which `id` and `sudo` are stand-ins: tests run as whoever runs them.
describe.skipIf(sshdMissing)("what the role preflight says of Python and sudo", { timeout: 120_000 }, () => {
  let folder: string;
  let sshd: TestSshd;
  let play: PlayFolder;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pipress-sudo-"));
    for (const program of ["sh", "cat", "mkdir", "rm", "env"]) await symlink(`/bin/${program}`, join(folder, program));
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

  /** Runs the role; `sudo` is a script, or not there. @param password as the configuration has it for the host */
  async function run(sudo: string | undefined, password?: string): Promise<void> {
    await rm(join(folder, "sudo"), { force: true });
    if (sudo !== undefined) await standIn("sudo", sudo);
    await runPlaybook({ ...playRun(play, sshd.host), secretVars: sudoVars(password) });
  }

  /** A sudo of a host that speaks German, as its words are where LC_ALL does not ask for English. */
  const asksForPassword = `
    [ "$1" = -n ] && { [ "$LC_ALL" = C ] && echo "sudo: a password is required" || echo "sudo: Ein Passwort ist nötig"; exit 1; } >&2
    echo "$*" > ${"$HOME"}/arguments
    read -r password
    [ "$password" = 'right {{ "horse" }}' ] && exit 0
    { [ "$LC_ALL" = C ] && echo "Sorry, try again." || echo "Das hat nicht funktioniert."; } >&2
    exit 1`;

  test("sudo without a password is fine", async () => {
    await run('[ "$*" = "-n true" ]');
  });

  test("a password, no sudo and no permission each have their own message", async () => {
    await expect(run(asksForPassword)).rejects.toThrow(
      /sudo asks the user for a password, and there is none — let `.\/pipress up --ask-sudo-password` ask for it, .*pipress:sudoPassword` or in the environment as PIPRESS_SUDO_PASSWORD.*NOPASSWD/,
    );
    await expect(run(undefined)).rejects.toThrow(/there is no sudo on the host — `apt-get install sudo`/);
    await expect(run("echo 'pi is not in the sudoers file.'; exit 1")).rejects.toThrow(
      /sudo refuses the user \(pi is not in the sudoers file\.\) — see `sudo -l`/,
    );
  });

  test("the password goes to sudo's input, from the configuration or the environment; none of its words gets anywhere else", async () => {
    const password = 'right {{ "horse" }}';
    await run(asksForPassword, password);
    expect(await readFile(join(sshd.folder, "home", "arguments"), "utf8")).toBe("-k -S -p  true\n");
    vi.stubEnv(sudoPasswordVariable, password);
    await run(asksForPassword);
    vi.unstubAllEnvs();
  });

  test("a wrong password is told as one, and repeated nowhere", async () => {
    const wrong = await run(asksForPassword, "wrong battery").catch((error: unknown) => String(error));
    expect(wrong).toMatch(
      /sudo does not take the password that it was given — correct it with `pulumi config set --secret pipress:sudoPassword`/,
    );
    expect(wrong).not.toContain("battery");
    const logs = await readdir(play.logFolder);
    for (const log of logs) expect(await readFile(join(play.logFolder, log), "utf8")).not.toContain("battery");
    expect(logs.length).toBeGreaterThan(0);
  });
});
