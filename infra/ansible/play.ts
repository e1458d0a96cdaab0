import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { makePrivateFolder } from "../../common/private-folder.ts";
import { type Problem, UserError } from "../../common/user-error.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import type { ResourceLog } from "../plugin/handler.ts";
import { inventory, type InventoryHost, playbookCommand, playbookName } from "./command.ts";
import { type AnsibleEvent, parseEvent } from "./events.ts";
import { describeTask, type PlaybookProgress } from "./progress.ts";
import { redactor } from "./redact.ts";
import { RunLog } from "./run-log.ts";
import { Slots } from "./slots.ts";

/** What a play is, whichever hosts it is for. */
export interface Play {
  /** Absolute path. */
  playbook: string;
  /** Only look: report what would change, change nothing. */
  check: boolean;
  /** Maximum concurrent hosts, over all plays. */
  concurrency: number;
  /** Where the logs of hosts go; they stay where a host fails. */
  logFolder: string;
}

/** A host that is connected and ready to be played on. */
export interface PlayMember extends InventoryHost {
  secretVars: Record<string, unknown>;
  progress: PlaybookProgress;
  log: ResourceLog;
}

/** Limits how many hosts run tasks at once, across all plays. */
const slots = new Slots();

/**
 * Runs one ansible-playbook for hosts that are to have the same done to them, each at its own pace, as soon as it is their
 * turn.
 * @returns why it did not come to its end, by host; undefined where it did
 */
export function playOnHosts(
  members: readonly PlayMember[],
  play: Play,
  signal: AbortSignal,
): Promise<Map<PlayMember, Problem | undefined>> {
  const forks = Math.min(play.concurrency, members.length);
  const waits = (): void => {
    for (const { name, log } of members) log.status(`${name}: waiting for its turn`);
  };
  return slots.use(play.concurrency, forks, signal, () => runPlay(play, members, forks, signal), waits);
}

async function runPlay(
  play: Play,
  members: readonly PlayMember[],
  forks: number,
  signal: AbortSignal,
): Promise<Map<PlayMember, Problem | undefined>> {
  const folder = await makePrivateFolder();
  const ticker = setInterval(() => members.forEach(showProgress), 7000);
  try {
    const hosts = members.map(({ vars, secretVars, ...host }) => ({ ...host, vars: { ...vars, ...secretVars } }));
    const paths = {
      ansiblePlaybook: readToolchain().ansiblePlaybook,
      playbook: play.playbook,
      inventory: join(folder, "inventory.json"),
      temp: join(folder, "tmp"),
    };
    await writeFile(paths.inventory, JSON.stringify(inventory(hosts)), { mode: 0o600 });
    const logOf = `${playbookName(play.playbook)}${play.check ? "-check" : ""}`;
    const opened = members.map(async (member) => ({
      member,
      log: await RunLog.open(play.logFolder, `${member.name}-${logOf}`),
    }));
    const logs = await Promise.all(opened);
    const redact = redactor(members.map(({ secretVars }) => secretVars));
    const command = playbookCommand(paths, { check: play.check, forks }, process.env);
    const exitCode = await run(command, signal, (line) => {
      const shown = redact(line);
      const event = parseEvent(shown);
      for (const { member, log } of logs) {
        if (!concerns(event, member)) continue;
        log.write(shown, event !== undefined);
        if (event !== undefined) member.progress.apply(event);
        if (event?.event === "task") showProgress(member);
      }
    });
    const problems = logs.map(async ({ member, log }) => {
      const problem = whyUnfinished(play, member, log, exitCode, signal);
      await log.close(problem !== undefined);
      return [member, problem] as const;
    });
    return new Map(await Promise.all(problems));
  } finally {
    clearInterval(ticker);
    await rm(folder, { recursive: true, force: true });
  }
}

function showProgress({ log, progress }: PlayMember): void {
  log.status(progress.status);
}

/** Whether a line is about this host; what names no host, and what Ansible itself says, is about all. */
function concerns(event: AnsibleEvent | undefined, { name }: PlayMember): boolean {
  const host = event !== undefined && "host" in event ? event.host : undefined;
  return host === undefined || host === null || host === name;
}

/** Why the play did not come to its end on this host; undefined where it did. */
function whyUnfinished(
  { playbook }: Play,
  { name, progress: { failure, isOver } }: PlayMember,
  log: RunLog,
  exitCode: number | undefined,
  { aborted, reason }: AbortSignal,
): Problem | undefined {
  const remedy = `log: ${log.path}`;
  if (aborted) {
    const why = reason instanceof UserError ? reason.message : "cancelled";
    return {
      where: name,
      what: `${why}; what the host had begun it finishes by itself, and it goes on serving`,
      remedy: `run \`up\` again to go on; ${remedy}`,
    };
  }
  if (failure !== undefined) {
    const what = (failure.msg ?? "the task failed without a message").trim();
    return { where: `${name} / ${describeTask(failure)}`, what, remedy };
  }
  // A play that ended as it should has another exit code where it failed on another host.
  if (exitCode === 0 || isOver) return undefined;
  const what = `ansible-playbook ended with code ${exitCode ?? "unknown"}: ${log.lastText}`;
  return { where: `${name} / ${playbookName(playbook)}`, what, remedy };
}

/** Runs the command, hands over its output line by line, and returns its exit code. */
async function run(
  { file, args, ...where }: ReturnType<typeof playbookCommand>,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<number | undefined> {
  const child = execa(file, args, {
    ...where,
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
