import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { writeSshFiles } from "../../ssh/ssh-files.ts";
import { hostOf, type BuilderMachine } from "./machine.ts";

/** How a command on the builder machine ended. */
export type Ending =
  /** By itself, with its standard output. */
  | { kind: "ended"; code: number; stdout: string }
  /** The connection was not made, or lost; `message` is what ssh says about it. */
  | { kind: "lost"; message: string; wasConnected: boolean };

/** ssh's own exit status for everything that is not the command's. */
const sshFailed = 255;

/** ssh to one builder machine, its host key verified and no setting of the user's own ssh configuration in the way. */
export class SshSession {
  private constructor(
    private readonly folder: string,
    private readonly config: string,
    private readonly alias: string,
  ) {}

  static async open(machine: BuilderMachine): Promise<SshSession> {
    const host = hostOf(machine);
    const { folder, config } = await writeSshFiles(host);
    return new SshSession(folder, config, host.name);
  }

  /**
   * Runs one command there. Its standard error comes through to ours; ssh's own messages are kept apart.
   * @param input what it reads on standard input
   * @param options quiet: its standard error is dropped; show: its standard output goes to ours instead of being returned
   */
  async run(
    command: string,
    input: string | Buffer,
    { signal, quiet = false, show = false }: { signal?: AbortSignal; quiet?: boolean; show?: boolean } = {},
  ): Promise<Ending> {
    const log = join(this.folder, "log");
    await rm(log, { force: true });
    // VERBOSE: the log says when the server has accepted the key, which tells a refused connection from a lost one.
    const args = ["-F", this.config, "-E", log, "-o", "LogLevel=VERBOSE", "-T", this.alias, command];
    const result = await execa("ssh", args, {
      input,
      stdout: show ? "inherit" : "pipe",
      stderr: quiet ? "ignore" : "inherit",
      reject: false,
      ...(signal && { cancelSignal: signal }),
    });
    if (result.exitCode !== undefined && result.exitCode !== sshFailed)
      return { kind: "ended", code: result.exitCode, stdout: result.stdout ?? "" };
    const message = await readFile(log, "utf8").catch(() => "");
    return { kind: "lost", message, wasConnected: /^Authenticated to /m.test(message) };
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
