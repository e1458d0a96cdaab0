import { setTimeout as sleep } from "node:timers/promises";
import type { Session } from "../../ssh/session.ts";
import { UserError } from "../../../common/user-error.ts";
import { formatDuration } from "../../../common/units.ts";
import { builderMachine, type BoxJob } from "./box.ts";
import { receiveSource, runStage, sourceMissing } from "./remote.ts";
import type { BoxSource } from "./source.ts";

export interface FollowOptions {
  say: (line: string) => void;
  signal: AbortSignal;
  /** Seconds without a connection after which the box is given up, before and after it has answered once. */
  patience?: { first: number; later: number };
  /** Seconds before the first new try; doubles up to half a minute. */
  pause?: number;
}

/** A box that reboots is back within a quarter of an hour, a network mostly sooner. */
const usualPatience = { first: 120, later: 1800 };

/**
 * Runs the stage on the box to its end. The command there is the same every time, and attaches to the job when it is at
 * work already: so after a lost connection it is simply run again.
 * @returns exit status and standard output of the command
 * @throws UserError when the box cannot be reached for longer than `patience`
 */
export async function follow(
  { box, spec, environment = {} }: BoxJob,
  session: Pick<Session, "run">,
  source: BoxSource,
  { say, signal, patience = usualPatience, pause = 1 }: FollowOptions,
): Promise<{ code: number; stdout: string }> {
  const command = runStage(box, source.digest);
  const input = JSON.stringify({ spec, environment });
  let answered = false;
  let lostAt: number | undefined;
  let wait = pause;
  for (;;) {
    const began = Date.now();
    let ending = await session.run(command, input, { signal });
    if (ending.kind === "ended" && ending.code === sourceMissing) {
      say(`${spec.name} sending the code (${source.digest}) to ${box.address}`);
      ending = await session.run(receiveSource(box, source.digest), source.archive, { signal });
      if (ending.kind === "ended" && ending.code === 0) continue;
      if (ending.kind === "ended")
        throw new UserError({
          where: builderMachine(box).name,
          what: `the code could not be unpacked on ${box.address} (status ${ending.code})`,
          remedy: "check that there is room on the box and that it has tar",
        });
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
    if (silent > (answered ? patience.later : patience.first))
      throw answered ? gaveUp(box, spec.name, silent) : failure;
    say(
      `${spec.name} ${answered ? "lost the connection to" : "cannot reach"} ${box.address}; trying again in ${formatDuration(wait)}`,
    );
    await sleep(wait * 1000, undefined, { signal });
    wait = Math.min(30, wait * 2);
  }
}

function gaveUp(box: BoxJob["box"], name: string, seconds: number): UserError {
  return new UserError({
    where: builderMachine(box).name,
    what: `${box.address} has not answered for ${formatDuration(seconds)}`,
    remedy: `${name} goes on there if the box is up; run \`up\` again when it answers, and it is picked up`,
  });
}
