import { access, constants as modes, readFile, rm } from "node:fs/promises";
import { constants } from "node:os";
import { execa } from "execa";
import { makePrivateFolder } from "../../common/private-folder.ts";
import { UserError } from "../../common/user-error.ts";
import { knock } from "./knock.ts";
import { bastionAlias, writeSshFiles, type SshFiles } from "./config-file.ts";
import { explainFailure, explainNoShell, type ConnectionFailure, type SshMessages } from "./failure.ts";
import { expandHome, type Hop, type Machine } from "./machine.ts";
import { OutputMark, underSh } from "./remote-shell.ts";
import { hintAtUserConfig } from "./user-config.ts";
import { userKeyDefect } from "./user-key.ts";

/** How a command on a machine ended. */
export type Ending =
  /** By itself, with its standard output. */
  | { kind: "ended"; code: number; stdout: string }
  /** The connection was not made, or lost. */
  | { kind: "lost"; failure: ConnectionFailure; wasConnected: boolean };

export interface RunOptions {
  signal?: AbortSignal;
  /** Its standard error is dropped, instead of coming through to ours. */
  quiet?: boolean;
  /** Its standard output goes to ours, instead of being returned. */
  show?: boolean;
}

/** ssh's own exit status for everything that is not the command's. */
export const sshFailed = 255;
/** What ssh says when the server has accepted a key. */
const authenticated = /^Authenticated to /m;

/** ssh to one machine: its host key verified, and no setting of the user's own ssh configuration in the way. */
export class Session {
  private constructor(
    readonly machine: Machine,
    readonly files: SshFiles,
    /** Of this machine, private. */
    private readonly folder: string,
  ) {}

  /** Makes everything ready; nothing connects yet. @throws UserError where a private key cannot be read */
  static async open(machine: Machine): Promise<Session> {
    await checkKeyFiles(machine);
    const folder = await makePrivateFolder();
    return new Session(machine, await writeSshFiles(folder, machine), folder);
  }

  /** Works with a session that is closed afterwards. */
  static async use<Result>(machine: Machine, work: (session: Session) => Promise<Result>): Promise<Result> {
    const session = await Session.open(machine);
    try {
      return await work(session);
    } finally {
      await session.close();
    }
  }

  /**
   * Runs a script there with sh, whatever the user's login shell is. ssh's own messages, and what the login shell prints by
   * itself, are kept apart from the script's output.
   * @param input what it reads on standard input
   */
  async run(
    script: string,
    input: string | Buffer = "",
    { signal, quiet = false, show = false }: RunOptions = {},
  ): Promise<Ending> {
    await this.forgetMessages();
    const mark = new OutputMark();
    const command = underSh(show ? script : `${mark.command}\n${script}`);
    const result = await execa("ssh", this.sshArguments(["-T"], command), {
      input,
      stdout: show ? "inherit" : "pipe",
      stderr: quiet ? "ignore" : "inherit",
      reject: false,
      stripFinalNewline: false,
      cancelSignal: signal,
    });
    if (result.exitCode === undefined || result.exitCode === sshFailed) {
      const { own } = await this.messages();
      const wasConnected = authenticated.test(own);
      return { kind: "lost", failure: await this.failure(), wasConnected };
    }
    if (show) return { kind: "ended", code: result.exitCode, stdout: "" };
    const stdout = mark.outputAfter(result.stdout ?? "");
    if (stdout === undefined)
      return { kind: "lost", failure: explainNoShell(this.machine, result.stdout ?? ""), wasConnected: true };
    return { kind: "ended", code: result.exitCode, stdout: stdout.replace(/\n$/, "") };
  }

  /**
   * Runs a command there on the standard streams of this process, at a terminal where this one has one.
   * @param command for the user's login shell; without one, that shell itself
   * @returns its exit status, as a shell tells it
   * @throws UserError where the connection is not made
   */
  async attach(command?: string): Promise<number> {
    await this.forgetMessages();
    const isTerminal = process.stdin.isTTY && process.stdout.isTTY;
    const args = this.sshArguments([isTerminal ? "-t" : "-T"], command);
    const { exitCode, signal } = await execa("ssh", args, { stdio: "inherit", reject: false });
    if (exitCode === sshFailed && !authenticated.test((await this.messages()).own))
      throw await this.failure();
    return exitCode ?? 128 + (signal === undefined ? 0 : constants.signals[signal]);
  }

  /** Arguments of ssh. @param options of its own @param command what it runs there; without one, the login shell */
  sshArguments(options: readonly string[], command?: string): string[] {
    // VERBOSE: the log says when the server has accepted the key, which tells a refused connection from a lost one.
    const settings = ["-F", this.files.config, "-E", this.files.log, "-o", "LogLevel=VERBOSE"];
    // Behind the dashes nothing is an option of ssh, whatever it begins with.
    return [...settings, ...options, "--", this.machine.name, ...(command === undefined ? [] : [command])];
  }

  /** Why the last connection was not made, or ended. @param messages where something else than ssh says so */
  async failure(messages?: SshMessages): Promise<ConnectionFailure> {
    const failure = explainFailure(this.machine, messages ?? (await this.messages()));
    // ssh says no more than that no key was accepted.
    const defect = failure.kind === "userKey" ? await userKeyDefect(failure.hop) : undefined;
    return defect === undefined ? hintAtUserConfig(failure) : failure.with(defect);
  }

  /** Signs in at the bastion, and goes no further. @returns why that is not possible */
  async tryBastion(bastion: Hop): Promise<ConnectionFailure | undefined> {
    let messages = await knock(bastion);
    if (messages === undefined) {
      const options = ["-F", this.files.config, "-o", "LogLevel=VERBOSE", "-N"];
      const ssh = execa("ssh", [...options, bastionAlias(this.machine)], { reject: false, stdin: "ignore" });
      messages = "";
      for await (const line of ssh.iterable({ from: "stderr" })) {
        messages += `${line}\n`;
        if (authenticated.test(line)) ssh.kill();
      }
      if (authenticated.test(messages)) return undefined;
    }
    return this.failure({ own: "", bastion: messages });
  }

  /** What ssh says from now on is about the next connection. */
  async forgetMessages(): Promise<void> {
    await Promise.all([this.files.log, this.files.bastionLog].map((file) => rm(file, { force: true })));
  }

  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }

  private async messages(): Promise<SshMessages> {
    const read = (file: string): Promise<string> => readFile(file, "utf8").catch(() => "");
    return { own: await read(this.files.log), bastion: await read(this.files.bastionLog) };
  }
}

async function checkKeyFiles(machine: Machine): Promise<void> {
  const hops = [
    { where: machine.name, file: machine.privateKeyFile },
    { where: `${machine.name} / bastion`, file: machine.bastion?.privateKeyFile },
  ];
  for (const { where, file } of hops) {
    if (file === undefined) continue;
    await access(expandHome(file), modes.R_OK).catch(() => {
      throw new UserError({
        where,
        what: `the private key ${file} cannot be read`,
        remedy: "set privateKeyFile to a key that the host accepts",
      });
    });
  }
}
