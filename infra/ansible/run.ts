import { type ServedFile, startContentServer, type Transfer } from "./content-server.ts";
import { formatBytes } from "../../common/units.ts";
import type { Problem } from "../../common/user-error.ts";
import type { ResourceLog } from "../plugin/handler.ts";
import type { Connection } from "../ssh/connection.ts";
import { Connections } from "../ssh/connections.ts";
import { Batches } from "./batches.ts";
import type { Machine } from "../ssh/machine.ts";
import { type Play, playOnHosts, type PlayMember } from "./play.ts";
import { PlaybookFailed } from "./playbook-failed.ts";
import { PlaybookProgress, type Recap } from "./progress.ts";

/** One run of a playbook for one host. */
export interface PlaybookRun extends Play {
  host: Machine;
  vars: Record<string, unknown>;
  secretVars: Record<string, unknown>;
  /** Served to the host while the run lasts. */
  files: readonly ServedFile[];
  /** What this machine sends to all hosts together at most, bytes a second; undefined for no limit. */
  bytesPerSecond?: number;
  signal: AbortSignal;
  log: ResourceLog;
  /** How many tasks the last run had, to say how far this one is. */
  expectedTasks?: number;
}

export interface Outcome {
  recap: Recap;
  /** What the play reported with `set_stats`. */
  results: Record<string, unknown>;
}

/** A host that is played on in a batch with others. */
interface BatchMember extends PlayMember {
  play: Play;
  signal: AbortSignal;
}

/**
 * Milliseconds without another host after which a batch begins without those that are missing: less than it takes to find
 * out that a host is off, and enough for a slow controller that connects to hundreds.
 */
const batchTimeout = 5000;

/**
 * Starting Ansible and preparing its modules costs more than playing on one host, so hosts that begin the same play at
 * about the same time share one.
 */
const batches = new Batches<BatchMember, Problem | undefined>(async (members) => {
  const [first] = members;
  if (first === undefined) return new Map();
  return playOnHosts(first.play, members, first.signal);
}, batchTimeout);

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
export async function runPlaybook(run: PlaybookRun): Promise<Outcome> {
  const { ansiblePlaybook, playbook, ansibleFolder, check, concurrency, logFolder } = run;
  const { host, vars, secretVars, signal, log } = run;
  const play: Play = { ansiblePlaybook, playbook, ansibleFolder, check, concurrency, logFolder };
  const entry = batches.expect(JSON.stringify(play), signal);
  const progress = new PlaybookProgress(host.name, run.expectedTasks);
  try {
    await withHost(run, progress, async ({ paths: ssh, contentSocket }) => {
      const problem = await entry.join({
        ...{ name: host.name, ssh, secretVars, progress, play },
        vars: { ...vars, pipress_socket: contentSocket },
        signal,
        show: (status) => {
          log.status(status);
        },
      });
      if (problem !== undefined) throw new PlaybookFailed(problem);
    });
    return { recap: progress.recap, results: progress.results };
  } finally {
    entry.leave();
  }
}

/** Connects to the host and serves it the run's files while `work` goes on. */
async function withHost(
  { host, files, bytesPerSecond, log, signal }: PlaybookRun,
  progress: PlaybookProgress,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const server = await startContentServer(files, reportTransfers(log, progress), bytesPerSecond);
  try {
    log.status(progress.status);
    await connections.use(host, server.port, signal, work);
  } finally {
    await server.close();
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
