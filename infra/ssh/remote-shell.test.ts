import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { Connection } from "./connection.ts";
import { Session } from "./session.ts";
import { sshdMissing, startSshd, type TestSshd } from "./testing/sshd.ts";

/** What each shell runs at its start, also for a command over ssh. */
const startFiles = {
  "/bin/bash": ".bashrc",
  "/bin/sh": ".profile",
  "/usr/bin/fish": ".config/fish/config.fish",
  "/usr/bin/tcsh": ".tcshrc",
  "/usr/bin/zsh": ".zshenv",
};
/** Quotes, line breaks, and what a csh takes for a line of its history. */
const script = `read -r line
for word in 'a  b' "it's"; do echo "$line $word !x \\\\ \\$0"; done
exit 7`;

describe.skipIf(sshdMissing)("a login shell", { timeout: 60_000 }, () => {
  let sshd: TestSshd | undefined;
  afterEach(() => sshd?.remove());

  /** @param shell the login shell; sshd calls it so where it is the user's */
  async function start(shell: string, startFile: string, content: string): Promise<TestSshd> {
    sshd = await startSshd("pi-0", {}, [`ForceCommand exec ${shell} -c "$SSH_ORIGINAL_COMMAND"`]);
    const file = join(sshd.folder, "home", startFile);
    await mkdir(join(file, ".."), { recursive: true });
    await writeFile(file, content);
    return sshd;
  }

  test.for(Object.entries(startFiles).filter(([shell]) => existsSync(shell)))(
    "%s may print what it likes, and takes a script as it is",
    async ([shell, startFile]) => {
      const { host } = await start(shell, startFile, `echo '{"welcome": 1}'\nprintf 'no line end'\n`);
      const ending = await Session.use(host, (session) => session.run(script, "in", { quiet: true }));
      expect(ending).toEqual({ kind: "ended", code: 7, stdout: "in a  b !x \\ $0\nin it's !x \\ $0" });
      const connection = await Connection.open(host, 9);
      await connection.close();
    },
  );

  test("that runs nothing is told apart from a host that is down", async () => {
    sshd = await startSshd("pi-0", {}, [
      "ForceCommand echo This account is currently not available.; exit 1",
    ]);
    const told =
      /^pi-0: the host lets user \S+ in, but runs no command for them \(This account is currently not available\.\) — give/;
    const ending = await Session.use(sshd.host, (session) => session.run("true"));
    expect(ending).toMatchObject({ kind: "lost", failure: { isPermanent: true } });
    expect((ending as { failure: Error }).failure.message).toMatch(told);
    await expect(Connection.open(sshd.host, 9)).rejects.toThrow(told);
  });

  test("that comes after a banner prints nothing of it", async () => {
    const { host } = (sshd = await startSshd("pi-0", {}, ["Banner /etc/passwd"]));
    const ending = await Session.use(host, (session) => session.run("echo x", "", { quiet: true }));
    expect(ending).toMatchObject({ stdout: "x" });
  });
});
