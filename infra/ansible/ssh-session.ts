import { randomBytes } from "node:crypto";
import { access, constants } from "node:fs/promises";
import { connect } from "node:net";
import { execa, type ResultPromise } from "execa";
import { UserError } from "../errors/user-error.ts";
import { expandHome, type PlayHost } from "./host.ts";
import { explainSshFailure, explainTcpFailure } from "./ssh-failure.ts";

const connectSeconds = 10;

type Master = ResultPromise<{ reject: false; stdin: "pipe" }>;

/** What the session runs on the host: its folder exists exactly as long as the session does. */
function remoteScript(folder: string): string {
  return (
    `mkdir -p -m 700 ${folder} && rm -f ${folder}/content.sock && echo ready && cat >/dev/null; ` +
    `rm -f ${folder}/content.sock; rmdir ${folder}`
  );
}

/**
 * One SSH connection that everything of a run goes through: its start tells an unreachable, unknown or unwilling host from
 * a good one within seconds, Ansible's own connections are channels of it, and it carries the content tunnel. When it drops
 * it is made anew, tunnel included.
 */
export class SshSession {
  readonly #host: PlayHost;
  readonly #config: string;
  readonly #control: string;
  readonly #folder = `/tmp/pipress-${randomBytes(8).toString("hex")}`;
  #contentPort: number | undefined;
  #master: Master | undefined;
  #closed = false;

  /** @param control path of the socket through which other ssh commands share the connection */
  constructor(host: PlayHost, config: string, control: string) {
    this.#host = host;
    this.#config = config;
    this.#control = control;
  }

  /** Unix socket on the host behind which the content is, after `serve`. */
  get contentSocket(): string {
    return `${this.#folder}/content.sock`;
  }

  /** @throws UserError naming the host, what is wrong and the remedy */
  async open(signal?: AbortSignal): Promise<void> {
    const { privateKeyFile, name } = this.#host;
    if (privateKeyFile !== undefined)
      await access(expandHome(privateKeyFile), constants.R_OK).catch(() => {
        throw new UserError({
          where: name,
          what: `the private key ${privateKeyFile} cannot be read`,
          remedy: "set the host's privateKeyFile to a key that the host accepts",
        });
      });
    // A name that does not resolve or a closed port says more about itself than ssh does.
    if (this.#host.bastion === undefined) await this.#probePort();
    await this.#connect(signal);
  }

  /** Lets the host reach a port of this machine's loopback through `contentSocket`. */
  async serve(port: number): Promise<void> {
    this.#contentPort = port;
    const { exitCode, stderr } = await this.#command("forward", "-R", `${this.contentSocket}:127.0.0.1:${port}`);
    if (exitCode === 0) return;
    throw new UserError({
      where: this.#host.name,
      what: `sshd refuses to forward a socket (${firstLine(stderr)})`,
      remedy: "allow it in the host's sshd_config: AllowStreamLocalForwarding yes, DisableForwarding no",
    });
  }

  /** Ends the connection; the host removes what the session left there. */
  async close(): Promise<void> {
    this.#closed = true;
    const master = this.#master;
    if (master === undefined) return;
    master.stdin.end();
    const timer = setTimeout(() => master.kill("SIGTERM"), 3000);
    await master;
    clearTimeout(timer);
  }

  async #connect(signal?: AbortSignal): Promise<void> {
    const { name } = this.#host;
    const args = ["-F", this.#config, "-M", "-S", this.#control, name, `exec sh -c '${remoteScript(this.#folder)}'`];
    const master = execa("ssh", args, { reject: false, stdin: "pipe" });
    this.#master = master;
    const abort = (): void => void master.kill();
    signal?.addEventListener("abort", abort);
    const ready = await isReady(master);
    signal?.removeEventListener("abort", abort);
    if (!ready) {
      signal?.throwIfAborted();
      throw explainSshFailure(this.#host, (await master).stderr);
    }
    void master.then(() => this.#reconnect());
  }

  /** The connection ended by itself: tries every two seconds to have it back, as long as the run goes on. */
  async #reconnect(): Promise<void> {
    while (!this.#closed) {
      const back = await this.#connect().then(
        () => true,
        () => false,
      );
      if (back) {
        if (this.#contentPort !== undefined) await this.serve(this.#contentPort).catch(() => undefined);
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }

  #command(name: "forward" | "exit", ...args: string[]) {
    const all = ["-F", this.#config, "-S", this.#control, "-O", name, ...args, this.#host.name];
    return execa("ssh", all, { reject: false, stdin: "ignore" });
  }

  async #probePort(): Promise<void> {
    const { address, port } = this.#host;
    await new Promise<void>((resolve, reject) => {
      const socket = connect({ host: address, port, timeout: connectSeconds * 1000 });
      const fail = (code: string): void => {
        socket.destroy();
        reject(explainTcpFailure(this.#host, code));
      };
      socket.once("connect", () => {
        socket.destroy();
        resolve();
      });
      socket.once("timeout", () => {
        fail("ETIMEDOUT");
      });
      socket.once("error", (error: NodeJS.ErrnoException) => {
        fail(error.code ?? error.message);
      });
    });
  }
}

/** Waits for the remote script to say that it runs; false where ssh ended instead. */
async function isReady(master: Master): Promise<boolean> {
  // A login shell may print a greeting of its own first.
  let said = "";
  return new Promise((resolve) => {
    master.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
      if (/^ready$/m.test(said)) resolve(true);
    });
    void master.then(() => {
      resolve(false);
    });
  });
}

function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
