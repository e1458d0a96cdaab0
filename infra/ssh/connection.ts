import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { execa, type ResultPromise } from "execa";
import { UserError } from "../../common/user-error.ts";
import { throughBastion } from "./bastion.ts";
import { CONNECT_TIMEOUT_SECONDS, type SshPaths } from "./config-file.ts";
import { explainMissingFolder, explainNoShell } from "./failure.ts";
import { knock } from "./knock.ts";
import type { Machine } from "./machine.ts";
import { OutputMark, underSh } from "./remote-shell.ts";
import { Session, sshFailed } from "./session.ts";

type Master = ResultPromise<{ reject: false; stdin: "pipe" }>;

/** What the connection runs on the host: its folder exists exactly as long as the connection does. */
function remoteScript(folder: string, ready: OutputMark): string {
  const make = `rm -rf ${folder} && LC_ALL=C mkdir -m 700 ${folder}`;
  return `${make} && { ${ready.command}; cat >/dev/null; }; rm -rf ${folder}`;
}

/**
 * One SSH connection that everything of a run goes through: its start tells an unreachable, unknown or unwilling host from
 * a good one within seconds, Ansible's own connections are channels of it, and it carries the content tunnel. When it drops
 * it is made anew, tunnel included.
 */
export class Connection {
  readonly #folder = `/tmp/pipress-${randomBytes(8).toString("hex")}`;
  /** What the host reaches of this machine, while the connection is in use: for so long it is made anew when it drops. */
  #contentPort: number | undefined;
  #sockets = 0;
  #master: Master | undefined;

  private constructor(private readonly session: Session) {}

  /**
   * Connects, and lets the host reach a port of this machine's loopback behind `contentSocket`.
   * @throws UserError naming the host, what is wrong and the remedy
   */
  static async open(host: Machine, port: number, signal?: AbortSignal): Promise<Connection> {
    const connection = new Connection(await Session.open(host));
    try {
      await connection.#probePort();
      await throughBastion(connection.session, () => connection.#connect(signal));
      await connection.#serve(port);
      return connection;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** For other ssh commands, Ansible's too, that share the connection. */
  get paths(): SshPaths {
    return this.session.files;
  }

  /** Unix socket on the host behind which the content is. */
  get contentSocket(): string {
    return `${this.#folder}/content-${this.#sockets}.sock`;
  }

  /** Nobody uses it for now: it is not made anew when it drops. */
  rest(): void {
    this.#contentPort = undefined;
  }

  /**
   * Back from `rest`, with another port.
   * @returns whether the connection is there still; that it is shows when the host answers over it, which may have started anew
   * @throws UserError where the host does not answer at all
   */
  async wake(port: number): Promise<boolean> {
    if (this.#master?.exitCode !== null) return false;
    await this.#probePort();
    return succeeds(this.#serve(port));
  }

  async #serve(port: number): Promise<void> {
    // sshd makes no socket where it has left one before.
    this.#sockets += 1;
    this.#contentPort = port;
    await this.#forward(port);
  }

  async #forward(port: number): Promise<void> {
    const { name } = this.session.machine;
    const { config, control } = this.paths;
    const tunnel = `${this.contentSocket}:127.0.0.1:${port}`;
    const { exitCode, stderr } = await execa(
      "ssh",
      ["-F", config, "-S", control, "-O", "forward", "-R", tunnel, name],
      { reject: false, stdin: "ignore", timeout: CONNECT_TIMEOUT_SECONDS * 1000 },
    );
    if (exitCode === 0) return;
    if (await this.#serverIsDropbear())
      throw new UserError({
        where: name,
        what: "its SSH server is dropbear, which forwards no Unix socket",
        remedy:
          "install OpenSSH's on the host instead: the package openssh-server, on DietPi `OpenSSH Server` in dietpi-software",
      });
    throw new UserError({
      where: name,
      what: `sshd refuses to forward a socket (${stderr.trim().split("\n", 1).join()})`,
      remedy: "allow it in the host's sshd_config: AllowStreamLocalForwarding yes, DisableForwarding no",
    });
  }

  /** Asks the host, since behind a bastion the greeting of its server is not seen here: a command's parent serves it. */
  async #serverIsDropbear(): Promise<boolean> {
    const { config, control } = this.paths;
    const arguments_ = ["-F", config, "-S", control, this.session.machine.name, "cat /proc/$PPID/comm"];
    const { stdout } = await execa("ssh", arguments_, {
      reject: false,
      stdin: "ignore",
      timeout: CONNECT_TIMEOUT_SECONDS * 1000,
    });
    return stdout.trim() === "dropbear";
  }

  /** Ends the connection; the host removes what it left there. */
  async close(): Promise<void> {
    this.rest();
    const master = this.#master;
    if (master !== undefined) {
      master.stdin.end();
      const timer = setTimeout(() => master.kill("SIGTERM"), 3000);
      await master;
      clearTimeout(timer);
    }
    await this.session.close();
  }

  async #connect(signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const mark = new OutputMark();
    const command = underSh(remoteScript(this.#folder, mark));
    await this.session.forgetMessages();
    const args = this.session.sshArguments(["-M", "-S", this.paths.control], command);
    const master = execa("ssh", args, { reject: false, stdin: "pipe" });
    this.#master = master;
    const abort = (): void => void master.kill();
    signal?.addEventListener("abort", abort);
    const ready = await isReady(master, mark);
    signal?.removeEventListener("abort", abort);
    if (!ready) {
      signal?.throwIfAborted();
      throw await this.#whyNotReady(await master);
    }
    void master.then(() => this.#reconnect());
  }

  async #whyNotReady({ exitCode, stdout, stderr }: Awaited<Master>): Promise<UserError> {
    const { machine } = this.session;
    const missingFolder = explainMissingFolder(machine, stderr);
    if (missingFolder !== undefined) return missingFolder;
    if (exitCode === undefined || exitCode === sshFailed) return this.session.failure();
    return explainNoShell(machine, stdout || stderr);
  }

  /** The connection ended by itself: tries every two seconds to have it back, as long as the run goes on. */
  async #reconnect(): Promise<void> {
    while (this.#contentPort !== undefined) {
      if (await succeeds(this.#connect())) {
        await succeeds(this.#forward(this.#contentPort));
        return;
      }
      await sleep(2000);
    }
  }

  /** A name that does not resolve or a closed port says more about itself than ssh does; behind a bastion only ssh can look. */
  async #probePort(): Promise<void> {
    const { machine } = this.session;
    const code = machine.bastion === undefined ? await knock(machine) : undefined;
    if (code !== undefined) throw await this.session.failure({ own: code });
  }
}

/** Whether the work comes to its end, instead of failing. */
function succeeds(work: Promise<void>): Promise<boolean> {
  return work.then(
    () => true,
    () => false,
  );
}

/** Waits for the remote script to say that it runs; false where ssh ended instead. */
async function isReady(master: Master, mark: OutputMark): Promise<boolean> {
  let output = "";
  return new Promise((resolve) => {
    master.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (mark.outputAfter(output) !== undefined) resolve(true);
    });
    void master.then(() => {
      resolve(false);
    });
  });
}
