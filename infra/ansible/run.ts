import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { type ServedFile, startContentServer, type Transfer } from "../content-server/content-server.ts";
import { type Problem, UserError } from "../errors/user-error.ts";
import type { ResourceLog } from "../provider-runtime/handler.ts";
import { type Command, inventory, playbookCommand, playbookName } from "./command.ts";
import { parseEvent } from "./events.ts";
import type { PlayHost } from "./host.ts";
import { PlaybookFailed } from "./playbook-failed.ts";
import { describeTask, PlaybookProgress, type Recap } from "./progress.ts";
import { redactor } from "./redact.ts";
import { RunLog } from "./run-log.ts";
import { knownHosts, sshConfig } from "./ssh-config.ts";
import { SshSession } from "./ssh-session.ts";
import { literal } from "./variables.ts";

/** One run of a playbook for one host. All paths are absolute. */
export interface PlaybookRun {
  ansiblePlaybook: string;
  playbook: string;
  /** Folder of ansible.cfg, roles and the event plugin. */
  ansibleFolder: string;
  host: PlayHost;
  vars: Record<string, unknown>;
  secretVars: Record<string, unknown>;
  /** Served to the host while the run lasts. */
  files: readonly ServedFile[];
  /** What this machine sends to all hosts together at most, bytes a second; undefined for no limit. */
  bytesPerSecond?: number;
  /** Only look: report what would change, change nothing. */
  check: boolean;
  signal: AbortSignal;
  log: ResourceLog;
  /** How many tasks the last run had, to say how far this one is. */
  expectedTasks?: number;
  /** Where the run's log goes, and stays when it fails. */
  logFolder: string;
}

export interface Outcome {
  recap: Recap;
  /** What the play reported with `set_stats`. */
  results: Record<string, unknown>;
}

/**
 * Runs ansible-playbook. Progress goes to `log` task by task.
 *
 * @throws UserError when the host cannot be reached or is the wrong one: nothing was touched
 * @throws PlaybookFailed with the failing task's own message
 */
export async function runPlaybook(run: PlaybookRun): Promise<Outcome> {
  const progress = new PlaybookProgress(run.host.name, run.expectedTasks);
  const folder = await mkdtemp(join(process.env.XDG_RUNTIME_DIR ?? tmpdir(), "pipress-"));
  try {
    const paths = runPaths(folder);
    await writeRunFiles(run, paths);
    await withHost(run, paths, progress, (contentVars) =>
      playToTheEnd(run, { ...paths, runFolder: folder }, contentVars, progress),
    );
    return { recap: progress.recap, results: progress.results };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Connects to the host, serves it the run's files while `work` goes on, and leaves nothing behind on either side. */
async function withHost(
  { host, files, bytesPerSecond, log, signal }: PlaybookRun,
  paths: RunPaths,
  progress: PlaybookProgress,
  work: (contentVars: Record<string, string>) => Promise<void>,
): Promise<void> {
  const server = await startContentServer(files, reportTransfers(log, progress), bytesPerSecond);
  const session = new SshSession(host, paths.sshConfig, paths.sshControl);
  try {
    log.status(progress.status);
    await session.open(signal);
    if (files.length > 0) await session.serve(server.port);
    await work(files.length > 0 ? { pipress_socket: session.contentSocket } : {});
  } finally {
    await session.close();
    await server.close();
  }
}

type RunPaths = ReturnType<typeof runPaths>;

function runPaths(folder: string) {
  return {
    sshConfig: join(folder, "ssh_config"),
    knownHosts: join(folder, "known_hosts"),
    sshControl: join(folder, "control"),
    inventory: join(folder, "inventory.json"),
    vars: ["vars", "secret-vars", "content-vars"].map((name) => join(folder, `${name}.json`)) as [string, string, string],
  };
}

async function writeRunFiles({ host, vars, secretVars }: PlaybookRun, paths: RunPaths): Promise<void> {
  const { sshConfig: config, knownHosts: known, sshControl: control } = paths;
  await writePrivate(config, sshConfig(host, { config, knownHosts: known, control }));
  await writePrivate(known, knownHosts(host));
  await writePrivate(paths.inventory, JSON.stringify(inventory(host)));
  await writePrivate(paths.vars[0], JSON.stringify(literal(vars)));
  await writePrivate(paths.vars[1], JSON.stringify(literal(secretVars)));
}

function writePrivate(path: string, content: string): Promise<void> {
  return writeFile(path, content, { mode: 0o600 });
}

async function playToTheEnd(
  run: PlaybookRun,
  paths: RunPaths & { runFolder: string },
  contentVars: Record<string, string>,
  progress: PlaybookProgress,
): Promise<void> {
  await writePrivate(paths.vars[2], JSON.stringify(contentVars));
  const command = playbookCommand({ ...run, ...paths }, run.check, process.env);
  const redact = redactor(run.secretVars);
  const logName = [run.host.name, playbookName(run.playbook), ...(run.check ? ["check"] : [])].join("-");
  const log = await RunLog.open(run.logFolder, logName);
  const show = (): void => {
    run.log.status(progress.status);
  };
  const ticker = setInterval(show, 7000);
  const exitCode = await play(command, run.signal, (line) => {
    const shown = redact(line);
    log.write(shown);
    const event = parseEvent(shown);
    if (event === undefined) return;
    progress.apply(event);
    if (event.event === "task") show();
  }).finally(() => {
    clearInterval(ticker);
  });
  const failure = run.signal.aborted ? cancelled(run, log.path) : explainFailure(run, progress, log, exitCode);
  await log.close(failure !== undefined);
  if (failure !== undefined) throw new PlaybookFailed(failure);
}

/** Runs the command, hands over its output line by line, and returns its exit code. */
async function play(
  command: Command,
  signal: AbortSignal,
  onLine: (line: string) => void,
): Promise<number | undefined> {
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

function cancelled({ host, signal }: PlaybookRun, logPath: string): Problem {
  const reason = signal.reason instanceof UserError ? signal.reason.message : "cancelled";
  return {
    where: host.name,
    what: `${reason}; what the host had begun it finishes by itself, and it goes on serving`,
    remedy: `run \`up\` again to go on; log: ${logPath}`,
  };
}

function explainFailure(
  { host, playbook }: PlaybookRun,
  { failure }: PlaybookProgress,
  log: RunLog,
  exitCode: number | undefined,
): Problem | undefined {
  if (failure !== undefined)
    return {
      where: `${host.name} / ${describeTask(failure)}`,
      what: (failure.msg ?? "the task failed without a message").trim(),
      remedy: `log: ${log.path}`,
    };
  if (exitCode === 0) return undefined;
  return {
    where: `${host.name} / ${playbookName(playbook)}`,
    what: `ansible-playbook ended with code ${exitCode ?? "unknown"}: ${log.lastText}`,
    remedy: `log: ${log.path}`,
  };
}

/** Shows how far the host's download is, at most every two seconds. */
function reportTransfers(log: ResourceLog, progress: PlaybookProgress): (transfer: Transfer) => void {
  let last = 0;
  return ({ file, sentTo }) => {
    const now = Date.now();
    if (now - last < 2000) return;
    last = now;
    const percent = Math.floor((100 * sentTo) / file.bytes);
    log.status(`${progress.status} · sent ${percent} % of ${(file.bytes / 1e6).toFixed(1)} MB`);
  };
}

