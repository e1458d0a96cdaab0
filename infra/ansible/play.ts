import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { type Problem, UserError } from "../../common/user-error.ts";
import { type Command, inventory, playbookCommand, playbookName } from "./command.ts";
import { type AnsibleEvent, parseEvent } from "./events.ts";
import { describeTask, type PlaybookProgress } from "./progress.ts";
import { redactor } from "./redact.ts";
import { RunLog } from "./run-log.ts";
import { Slots } from "./slots.ts";
import type { SshPaths } from "../ssh/config-file.ts";

/** What a play is, whichever hosts it is for. All paths are absolute. */
export interface Play {
  ansiblePlaybook: string;
  playbook: string;
  /** Folder of ansible.cfg, roles and the event plugin. */
  ansibleFolder: string;
  /** Only look: report what would change, change nothing. */
  check: boolean;
  /** Maximum concurrent hosts, over all plays. */
  concurrency: number;
  /** Where the logs of hosts go; they stay where a host fails. */
  logFolder: string;
}

/** A host that is connected and ready to be played on. */
export interface PlayMember {
  name: string;
  /** Its ssh_config and the socket of its connection. */
  ssh: SshPaths;
  vars: Record<string, unknown>;
  secretVars: Record<string, unknown>;
  progress: PlaybookProgress;
  /** Shows a line of progress. */
  show: (status: string) => void;
}

/** Limits how many hosts run tasks at once, across all plays. */
const slots = new Slots();

/**
 * Runs one ansible-playbook for hosts that are to have the same done to them, each at its own pace, as soon as it is their
 * turn.
 * @returns why it did not come to its end, by host; undefined where it did
 */
export function playOnHosts<Member extends PlayMember>(
  play: Play,
  members: readonly Member[],
  signal: AbortSignal,
): Promise<Map<Member, Problem | undefined>> {
  const forks = Math.min(play.concurrency, members.length);
  const waits = (): void => {
    for (const { name, show } of members) show(`${name}: waiting for its turn`);
  };
  return slots.use(play.concurrency, forks, signal, () => runPlay(play, members, forks, signal), waits);
}

async function runPlay<Member extends PlayMember>(
  play: Play,
  members: readonly Member[],
  forks: number,
  signal: AbortSignal,
): Promise<Map<Member, Problem | undefined>> {
  const folder = await mkdtemp(join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), "pipress-"));
  try {
    const hosts = members.map(({ name, ssh, vars, secretVars }) => ({ name, ssh, vars: { ...vars, ...secretVars } }));
    const inventoryFile = join(folder, "inventory.json");
    await writeFile(inventoryFile, JSON.stringify(inventory(hosts)), { mode: 0o600 });
    const paths = { ...play, runFolder: folder, inventory: inventoryFile };
    const command = playbookCommand(paths, { check: play.check, forks }, process.env);
    const parts = await Promise.all(members.map((member) => HostPart.open(play, member)));
    const redact = redactor(members.map(({ secretVars }) => secretVars));
    const exitCode = await run(command, signal, (line) => {
      const shown = redact(line);
      const event = parseEvent(shown);
      for (const part of parts) part.hear(shown, event);
    });
    const problems = parts.map(async (part) => [part.member, await part.end(exitCode, signal)] as const);
    return new Map(await Promise.all(problems));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What is one host's in a play: its log, and what is known of it. */
class HostPart<Member extends PlayMember> {
  readonly member: Member;
  readonly #playbook: string;
  readonly #log: RunLog;
  readonly #ticker: NodeJS.Timeout;
  /** Ansible has reported how the play ended. */
  #over = false;

  private constructor(playbook: string, member: Member, log: RunLog) {
    this.member = member;
    this.#playbook = playbook;
    this.#log = log;
    this.#ticker = setInterval(() => {
      this.#show();
    }, 7000);
  }

  static async open<Member extends PlayMember>(
    { playbook, check, logFolder }: Play,
    member: Member,
  ): Promise<HostPart<Member>> {
    const logName = [member.name, playbookName(playbook), ...(check ? ["check"] : [])].join("-");
    return new HostPart(playbook, member, await RunLog.open(logFolder, logName));
  }

  /** @param event what the line says; undefined where Ansible itself has something to say */
  hear(line: string, event: AnsibleEvent | undefined): void {
    const host = event !== undefined && "host" in event ? event.host : undefined;
    if (host !== undefined && host !== null && host !== this.member.name) return;
    this.#log.write(line, event !== undefined);
    if (event === undefined) return;
    this.member.progress.apply(event);
    if (event.event === "stats") this.#over = true;
    if (event.event === "task") this.#show();
  }

  /** Closes the log, and says why the play did not come to its end on this host. */
  async end(exitCode: number | undefined, signal: AbortSignal): Promise<Problem | undefined> {
    clearInterval(this.#ticker);
    const problem = signal.aborted ? this.#cancelled(signal) : this.#failure(exitCode);
    await this.#log.close(problem !== undefined);
    return problem;
  }

  #show(): void {
    this.member.show(this.member.progress.status);
  }

  #cancelled({ reason }: AbortSignal): Problem {
    const why = reason instanceof UserError ? reason.message : "cancelled";
    return {
      where: this.member.name,
      what: `${why}; what the host had begun it finishes by itself, and it goes on serving`,
      remedy: `run \`up\` again to go on; log: ${this.#log.path}`,
    };
  }

  #failure(exitCode: number | undefined): Problem | undefined {
    const { failure } = this.member.progress;
    if (failure !== undefined)
      return {
        where: `${this.member.name} / ${describeTask(failure)}`,
        what: (failure.msg ?? "the task failed without a message").trim(),
        remedy: `log: ${this.#log.path}`,
      };
    // A play that ended as it should has another exit code where it failed on another host.
    if (exitCode === 0 || this.#over) return undefined;
    return {
      where: `${this.member.name} / ${playbookName(this.#playbook)}`,
      what: `ansible-playbook ended with code ${exitCode ?? "unknown"}: ${this.#log.lastText}`,
      remedy: `log: ${this.#log.path}`,
    };
  }
}

/** Runs the command, hands over its output line by line, and returns its exit code. */
async function run(command: Command, signal: AbortSignal, onLine: (line: string) => void): Promise<number | undefined> {
  const child = execa(command.file, command.args, {
    cwd: command.cwd,
    env: command.env,
    extendEnv: false,
    reject: false,
    stdin: "ignore",
    all: true,
    buffer: false,
    // Its own process group, so that a signal reaches Ansible's workers too, and Ctrl-C only through us.
    detached: true,
  });
  const stop = stopOnAbort(signal, child.pid);
  for await (const line of child.iterable({ from: "all" })) onLine(line);
  const { exitCode } = await child;
  stop();
  return exitCode;
}

/** SIGINT first: Ansible then ends its workers by itself. The host finishes what it has begun. */
function stopOnAbort(signal: AbortSignal, pid: number | undefined): () => void {
  if (pid === undefined) return () => undefined;
  const timers: NodeJS.Timeout[] = [];
  const send = (name: NodeJS.Signals): void => {
    try {
      process.kill(-pid, name);
    } catch {
      // Gone already.
    }
  };
  const onAbort = (): void => {
    send("SIGINT");
    timers.push(setTimeout(send, 5000, "SIGTERM"), setTimeout(send, 8000, "SIGKILL"));
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  return () => {
    signal.removeEventListener("abort", onAbort);
    timers.forEach(clearTimeout);
  };
}
