import { UserError } from "../common/user-error.ts";
import {
  describeOutcome,
  describeStop,
  HostMeasurement,
  type Beside,
  rowOf,
  type Outcome,
  type Subject,
} from "../infra/fleet/measure.ts";
import { chooseHost } from "../infra/fleet/choose-hosts.ts";
import { addMeasured, measuredFile } from "../infra/prediction/measured-file.ts";
import { whyUnusable } from "../infra/prediction/measured-rows.ts";
import { readToolchain } from "../toolchain/toolchain.ts";
import { Interrupts } from "./interrupts.ts";
import { isAgreed } from "./is-agreed.ts";
import { readStackState } from "./stack-state.ts";
import { hostsOf, openStack, type StackOptions } from "./stack.ts";

/** Milliseconds between two lines that say that the same is still being done. */
const REPEAT_MS = 60_000;

/**
 * `./pipress measure HOST`: runs llama-bench on a host with the model that it serves, and adds what that found to the stack's
 * file of measurements. Its status is 1 where nothing was added that was to be.
 */
export async function measure(
  name: string,
  { yes, stock, threads, ...options }: StackOptions & Beside & { yes?: true },
): Promise<number> {
  const { fullName, name: stack, config } = await openStack(options);
  const host = chooseHost(await hostsOf(config), name);
  const state = await readStackState(fullName);
  const print = (message: string): void => {
    console.error(message);
  };
  const log = { status: eachTask(print), warn: print };
  const measurement = new HostMeasurement(host, state, readToolchain(), log, {
    ...(stock && { stock }),
    ...(threads !== undefined && { threads }),
  });
  const interrupts = new Interrupts();
  const subject = await measurement.look(interrupts.next());
  if (subject.running) print(`${name}: a measurement is at work there already; waiting for it`);
  else {
    const seconds = measurement.secondsFor(subject);
    const what = describeStop(name, subject, seconds, config.endpoint !== undefined);
    if (measurement.isEmulated) print(`${name} is emulated: its figures say nothing about a real board`);
    if (!(await mayStop(what, yes))) return 1;
  }
  const outcome = await measureOrStop(name, measurement, subject, interrupts);
  console.log(describeOutcome(name, outcome));

  if (measurement.isEmulated) {
    console.log(
      "nothing is written, and no prediction changes: an emulated Pi says nothing about a real one",
    );
    return 0;
  }
  const row = rowOf(name, outcome, new Date());
  const why = whyUnusable(row);
  if (why !== undefined) {
    print(`${name}: nothing is written, and no prediction changes: ${why}`);
    return 1;
  }
  addMeasured(stack, row);
  console.log(`added to ${measuredFile(stack)}, by which \`./pipress preview\` predicts from now on`);
  return 0;
}

/** Measures. At Ctrl-C the host stops measuring and serves again; at another one it does so by itself. */
async function measureOrStop(
  name: string,
  measurement: HostMeasurement,
  subject: Subject,
  interrupts: Interrupts,
): Promise<Outcome> {
  const cancelled = interrupts.next();
  try {
    return await measurement.measure(subject, cancelled);
  } catch (error) {
    if (!cancelled.aborted) throw error;
    console.error(`${name}: stopping the measurement and starting llama-server`);
    await measurement.stop(interrupts.next());
    throw new UserError({ where: name, what: "cancelled; llama-server serves there again" });
  }
}

/**
 * Whether llama-server may be stopped.
 * @param what is going to happen
 * @throws UserError where there is no terminal to ask at
 */
async function mayStop(what: string, yes: true | undefined): Promise<boolean> {
  if (yes) {
    console.error(what);
    return true;
  }
  if (process.stdin.isTTY) return isAgreed(`${what}. Go on?`);
  throw new UserError({
    where: "measure",
    what: `${what}, and there is no terminal to ask at`,
    remedy: "`--yes` goes ahead without asking",
  });
}

/** Prints a status when another task begins, and again now and then while that is at work. */
function eachTask(print: (message: string) => void): (status: string) => void {
  let task = "";
  let last = 0;
  return (status) => {
    // `pi-1: fetch the model (3/14, 12 s)`
    const [now = ""] = status.split(" (");
    if (now === task && Date.now() - last < REPEAT_MS) return;
    [task, last] = [now, Date.now()];
    print(status);
  };
}
