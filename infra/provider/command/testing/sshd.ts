/** A real OpenSSH server for the tests: an ordinary process on a free loopback port, with keys of its own. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import getPort from "get-port";

const program = ["/usr/sbin/sshd", "/usr/local/sbin/sshd"].find((path) => existsSync(path));
const sftpServer = [
  "/usr/lib/openssh/sftp-server",
  "/usr/libexec/openssh/sftp-server",
  "/usr/lib/ssh/sftp-server",
].find((path) => existsSync(path));

/** Why the tests with a real server cannot run here; undefined when they can. */
export const sshdMissing =
  program && sftpServer
    ? undefined
    : "OpenSSH's server is not installed (Debian: apt-get install openssh-server)";

export class Sshd {
  readonly folder: string;
  readonly port: number;
  readonly user = userInfo().username;
  readonly hostKey: string;
  readonly privateKey: string;
  readonly privateKeyFile: string;
  /** The same key, encrypted with the passphrase "open sesame". */
  readonly encryptedKey: string;
  readonly #process: ChildProcess;

  private constructor(folder: string, port: number, process: ChildProcess) {
    this.folder = folder;
    this.port = port;
    this.#process = process;
    this.hostKey = readFileSync(join(folder, "host.pub"), "utf8");
    this.privateKeyFile = join(folder, "client");
    this.privateKey = readFileSync(this.privateKeyFile, "utf8");
    this.encryptedKey = readFileSync(join(folder, "encrypted"), "utf8");
  }

  static async start(): Promise<Sshd> {
    const folder = mkdtempSync(join(tmpdir(), "pipress-sshd-"));
    keygen(join(folder, "host"));
    keygen(join(folder, "client"));
    writeFileSync(join(folder, "encrypted"), readFileSync(join(folder, "client")), { mode: 0o600 });
    execFileSync("ssh-keygen", ["-q", "-p", "-N", "open sesame", "-f", join(folder, "encrypted")]);
    const port = await getPort({ host: "127.0.0.1" });
    const config = [
      `Port ${port}`,
      "ListenAddress 127.0.0.1",
      `HostKey ${folder}/host`,
      `AuthorizedKeysFile ${folder}/client.pub`,
      "PubkeyAuthentication yes",
      "PasswordAuthentication no",
      "KbdInteractiveAuthentication no",
      "UsePAM no",
      "StrictModes no",
      "PidFile none",
      "AllowTcpForwarding yes",
      "AcceptEnv GREETING PULUMI_COMMAND_STDOUT",
      `Subsystem sftp ${sftpServer}`,
    ];
    writeFileSync(join(folder, "sshd_config"), config.join("\n") + "\n");
    // The folder into which Debian's build of sshd confines its unprivileged half.
    if (userInfo().uid === 0) mkdirSync("/run/sshd", { recursive: true });
    const child = spawn(program as string, ["-D", "-e", "-f", join(folder, "sshd_config")], {
      stdio: "ignore",
    });
    await listening(port);
    return new Sshd(folder, port, child);
  }

  /** The `connection` input for this server; a single dial, so that a failure shows at once. */
  connection(changes: Record<string, string | number> = {}) {
    return {
      host: "127.0.0.1",
      port: this.port,
      user: this.user,
      privateKey: this.privateKey,
      hostKey: this.hostKey,
      dialErrorLimit: 0,
      perDialTimeout: 10,
      ...changes,
    };
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.kill();
    await exited;
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** An ssh-agent that holds one key. */
export class SshAgent {
  readonly socket: string;
  readonly #process: ChildProcess;

  private constructor(socket: string, process: ChildProcess) {
    this.socket = socket;
    this.#process = process;
  }

  static async start(folder: string, keyFile: string): Promise<SshAgent> {
    const socket = join(folder, "agent.sock");
    const child = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    for (let tries = 0; !existsSync(socket) && tries < 100; tries++) await delay(20);
    execFileSync("ssh-add", ["-q", keyFile], {
      env: { ...process.env, SSH_AUTH_SOCK: socket },
      stdio: "ignore",
    });
    return new SshAgent(socket, child);
  }

  stop(): void {
    this.#process.kill();
  }
}

export function keygen(file: string, type = "ed25519"): void {
  execFileSync("ssh-keygen", ["-q", "-t", type, "-N", "", "-C", "test", "-f", file]);
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      }).once("error", () => {
        resolve(false);
      });
    });
    if (open) return;
    await delay(50);
  }
  throw new Error(`sshd does not listen on port ${port}`);
}
