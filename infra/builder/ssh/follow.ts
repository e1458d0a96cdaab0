import { setTimeout as sleep } from "node:timers/promises";
import type { Session } from "../../ssh/session.ts";
import { UserError } from "../../../common/user-error.ts";
import { formatDuration } from "../../../common/units.ts";
import { builderMachine, type MachineJob } from "./machine.ts";
import { receiveSource, runStage, sourceMissing } from "./remote.ts";
import type { PackedSource } from "./source.ts";

export interface FollowOptions {
  log: (line: string) => void;
  signal: AbortSignal;
  /** Seconds without a connection after which the builder machine is given up, before and after it has answered once. */
  timeout?: { first: number; later: number };
  /** Seconds before the first new try; doubles up to half a minute. */
  pause?: number;
}

/** A builder machine that reboots is back within a quarter of an hour, a network mostly sooner. */
const usualTimeout = { first: 120, later: 1800 };

/**
 * Runs the stage on the builder machine to its end. The command there is the same every time, and attaches to the job when it is at
 * work already: so after a lost connection it is simply run again.
 * @returns exit status and standard output of the command
 * @throws UserError when the builder machine cannot be reached for longer than `timeout`
 */
export async function follow(
  { machine, spec, environment = {} }: MachineJob,
  session: Pick<Session, "run">,
  source: PackedSource,
  { log, signal, timeout = usualTimeout, pause = 1 }: FollowOptions,
): Promise<{ code: number; stdout: string }> {
  const command = runStage(machine, source.digest);
  const input = JSON.stringify({ spec, environment });
  const problem = (what: string, remedy: string) =>
    new UserError({ where: builderMachine(machine).name, what, remedy });
  let answered = false;
  let lostAt: number | undefined;
  let wait = pause;
  for (;;) {
    const began = Date.now();
    let ending = await session.run(command, input, { signal });
    if (ending.kind === "ended" && ending.code === sourceMissing) {
      log(`${spec.name} sending the code (${source.digest}) to ${machine.address}`);
      ending = await session.run(receiveSource(machine, source.digest), source.archive, { signal });
      if (ending.kind === "ended" && ending.code === 0) continue;
      if (ending.kind === "ended")
        throw problem(
          `the code could not be unpacked on ${machine.address} (status ${ending.code})`,
          "check that there is room on the builder machine and that it has tar",
        );
    }
    signal.throwIfAborted();
    if (ending.kind === "ended") return ending;
    const { failure } = ending;
    if (failure.isPermanent) throw failure;
    answered ||= ending.wasConnected;
    // One that is lost sooner each time than it was waited for is no connection to speak of.
    if (ending.wasConnected && Date.now() - began > wait * 1000) {
      lostAt = undefined;
      wait = pause;
    }
    lostAt ??= Date.now();
    const silent = (Date.now() - lostAt) / 1000;
    if (!answered && silent > timeout.first) throw failure;
    if (answered && silent > timeout.later)
      throw problem(
        `${machine.address} has not answered for ${formatDuration(silent)}`,
        `${spec.name} goes on there if the builder machine is up; run \`up\` again when it answers, and it is picked up`,
      );
    log(
      `${spec.name} ${answered ? "lost the connection to" : "cannot reach"} ${machine.address}; trying again in ${formatDuration(wait)}`,
    );
    await sleep(wait * 1000, undefined, { signal });
    wait = Math.min(30, wait * 2);
  }
}
