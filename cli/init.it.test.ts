// `./pipress init` at a pseudo-terminal, on a real sshd and the real engine.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { startSshd, sshdMissing, type TestSshd } from "../infra/ssh/testing/sshd.ts";
import { chosenEngine } from "../toolchain/engine/index.ts";

const missing =
  chosenEngine(cacheDir()) === undefined ? "no engine here; `npm run bootstrap` brings it" : sshdMissing;

/** Stands in for sudo, where it takes a password: a machine on loopback is no board. */
const sudo = `#!/bin/sh
for option; do [ "$option" = -n ] && exit 1; done
read -r password
[ "$password" = secret ]
`;

/** A question, and what is typed when it stands there. */
type Step = readonly [question: string, typed: string];

describe.skipIf(missing !== undefined)(`init at a terminal${missing ?? ""}`, { timeout: 120_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress-init-"));
  const stack = `init-${process.pid}`;
  const file = join(repoRoot, `Pulumi.${stack}.yaml`);
  let sshd: TestSshd;

  beforeAll(async () => {
    const bin = join(folder, "bin");
    await mkdir(bin);
    await writeFile(join(bin, "sudo"), sudo);
    await chmod(join(bin, "sudo"), 0o755);
    mkdirSync(join(folder, "state"));
    sshd = await startSshd("board", { PATH: `${bin}:/usr/bin:/bin:/usr/sbin:/sbin` });
  });
  afterAll(async () => {
    await sshd.remove();
    rmSync(file, { force: true });
    rmSync(folder, { recursive: true });
  });

  /** Runs it, and types each answer when its question is there. @returns all that stood on the terminal */
  async function talk(steps: readonly Step[]): Promise<{ exitCode: number | undefined; screen: string }> {
    const { address, port, user, privateKeyFile } = sshd.host;
    // The kernel of this machine may count memory, or not.
    const given = `--host ${user}@${address}:${port} --key ${privateKeyFile} --no-prepare`;
    const command = `${join(repoRoot, "pipress")} init ${stack} ${given}`;
    const run = execa("script", ["--quiet", "--return", "--command", command, "/dev/null"], {
      env: {
        ...{ XDG_CONFIG_HOME: join(folder, "config"), PIPRESS_DATA: join(folder, "data") },
        PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
        ...{ PULUMI_CONFIG_PASSPHRASE: undefined, PULUMI_CONFIG_PASSPHRASE_FILE: undefined },
        ...{ PIPRESS_SUDO_PASSWORD: undefined, PULUMI_STACK: undefined, TERM: "xterm" },
      },
      ...{ stdin: "pipe", reject: false, all: true },
    });
    let screen = "";
    let answered = 0; // of what stands on the screen
    const left = [...steps];
    run.all.on("data", (data: Buffer) => {
      screen += data.toString();
      for (const [question, typed] of [...left]) {
        const at = screen.indexOf(question, answered);
        if (at < 0) return;
        answered = at + question.length;
        left.shift();
        run.stdin.write(typed);
      }
      run.stdin.end();
    });
    const { exitCode } = await run;
    return { exitCode, screen };
  }

  it("asks what options did not say, and makes a stack of the answers", async () => {
    const { screen } = await talk([
      ["Are they the same?", "y\r"],
      ["Password of sudo", "wrong\r"],
      ["sudo does not take the password", ""],
      ["Password of sudo", "secret\r"],
      ["Model:", "\r"],
      ["random passphrase", "\r"],
      // What it takes no notice of.
      ["written; it is yours", "\r"],
    ]);
    expect(screen).toContain(
      "On the Pi itself, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints its own",
    );
    expect(screen).toMatch(/name +file +memory +tokens\/s/);
    const { config } = parse(readFileSync(file, "utf8")) as { config: Record<string, unknown> };
    expect(config["pipress:model"]).toMatch(/^[a-z]/);
    expect(config["pipress:hosts"]).toMatchObject([{ port: sshd.host.port, hostKey: sshd.host.hostKey }]);
    expect(config["pipress:sudoPassword"]).toHaveProperty("secure");
    expect(readFileSync(file, "utf8")).not.toContain("secret");
    expect(statSync(join(folder, "config", "pipress", "passphrase")).mode & 0o777).toBe(0o600);
    // The machine on loopback is no Raspberry Pi: `doctor` says so, at the end.
    expect(screen).toContain("an `up` would be stopped by the errors");
  });

  it("writes nothing where it is left at a question, or a key is another one", async () => {
    rmSync(file, { force: true });
    const left = await talk([["Are they the same?", "\u0003"]]);
    expect(left.screen).toContain("init: cancelled; nothing was written");
    expect(left.exitCode).toBe(1);
    const other = await talk([["Are they the same?", "n\r"]]);
    expect(other.screen).toContain("has another host key: somebody else may answer at this address");
    expect(existsSync(file)).toBe(false);
  });
});
