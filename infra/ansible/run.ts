import { join } from "node:path";
import pLimit from "p-limit";
import { dataDir } from "../../common/paths.ts";
import { formatBytes } from "../../common/units.ts";
import type { ResourceLog } from "../plugin/handler.ts";
import { Connections } from "../ssh/connections.ts";
import type { Machine } from "../ssh/machine.ts";
import { Batches, type Patience } from "./batches.ts";
import { type ServedFile, startContentServer, type Transfer } from "./content-server.ts";
import { type Play, playOnHosts } from "./play.ts";
import { PlaybookFailed } from "./playbook-failed.ts";
import { PlaybookProgress, type Recap } from "./progress.ts";
import { sudoPasswordFromEnvironment } from "./sudo-password.ts";

/** One run of a playbook for one host. */
export interface PlaybookRun extends Omit<Play, "check" | "logFolder"> {
  host: Machine;
  vars?: Record<string, unknown>;
  secretVars?: Record<string, unknown>;
  /** Served to the host while the run lasts. */
  files?: readonly ServedFile[];
  /** What this machine sends to all hosts together at most, bytes a second; undefined for no limit. */
  bytesPerSecond?: number;
  /** @default false */
  check?: boolean;
  /** How many tasks the last run had, to say how far this one is. */
  expectedTasks?: number;
  /** @default `logs` in the data directory */
  logFolder?: string;
  signal: AbortSignal;
  log: ResourceLog;
}

export interface Outcome {
  recap: Recap;
  /** What the play reported with `set_stats`. */
  results: Record<string, unknown>;
}

const patience: Patience = {
  /** The engine begins with hundreds of hosts within a second or two; the first, connected already, is ready at once. */
  more: 300,
  /** Less than it takes to find out that a host is off, and enough for a slow controller that connects to hundreds. */
  ready: 5000,
  /** Of hundreds, these are played on while the next are connecting. */
  enough: 64,
};

/**
 * Hosts that are connected at the same time for plays under way: those of one batch, and of the next. A connection is an ssh
 * process here, and in a fleet of hundreds they would take more memory than all else.
 */
const turns = pLimit(2 * patience.enough);

/**
 * Starting Ansible and preparing its modules costs more than playing on one host, so hosts that begin the same play at
 * about the same time share one.
 */
const batches = new Batches(playOnHosts, patience);

/** From the end of a wave to the next play on the same host it is seconds. */
const connections = new Connections(60_000);

/** Ends the connections that are kept for a next play. */
export function closeConnections(): Promise<void> {
  return connections.close();
}

/**
 * Runs ansible-playbook, in one process with other runs of the same playbook that begin now. Progress goes to `log` task by
 * task.
 *
 * @throws UserError when the host cannot be reached or is the wrong one: nothing was touched
 * @throws PlaybookFailed with the failing task's own message
 */
export function runPlaybook(run: PlaybookRun): Promise<Outcome> {
  return turns(() => runInTurn(run));
}

async function runInTurn(run: PlaybookRun): Promise<Outcome> {
  run.signal.throwIfAborted();
  const { playbook, check = false, concurrency, logFolder = join(dataDir(), "logs") } = run;
  const { host, vars, files = [], bytesPerSecond, signal, log } = run;
  const { name, user } = host;
  const secretVars = { ...sudoPasswordFromEnvironment(), ...run.secretVars };
  const entry = batches.expect({ playbook, check, concurrency, logFolder }, signal);
  const progress = new PlaybookProgress(name, run.expectedTasks);
  try {
    const server = await startContentServer(files, reportTransfers(log, progress), bytesPerSecond);
    try {
      log.status(progress.status);
      await connections.use(host, server.port, signal, async ({ paths: ssh, contentSocket }) => {
        const remedies = Object.fromEntries(files.map(({ sha256, remedy }) => [sha256, remedy]));
        const allVars = { ...vars, pipress_socket: contentSocket, pipress_remedies: remedies };
        const problem = await entry.join({ name, ssh, user, vars: allVars, secretVars, progress, log });
        if (problem !== undefined) throw new PlaybookFailed(problem);
      });
    } finally {
      await server.close();
    }
    return { recap: progress.recap, results: progress.results };
  } finally {
    entry.leave();
  }
}

/** Shows how far the host's download is, at most every two seconds. */
function reportTransfers(log: ResourceLog, progress: PlaybookProgress): (transfer: Transfer) => void {
  let last = 0;
  return ({ file, sentTo }) => {
    const now = Date.now();
    if (now - last < 2000) return;
    last = now;
    const percent = Math.floor((100 * sentTo) / file.bytes);
    log.status(`${progress.status} · sent ${percent} % of ${formatBytes(file.bytes)}`);
  };
}
