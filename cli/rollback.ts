import { chooseHosts } from "../infra/fleet/choose-hosts.ts";
import { rollBack } from "../infra/fleet/rollout/rollback.ts";
import { Interrupts } from "./interrupts.ts";
import { readStackState } from "./stack-state.ts";
import { hostsOf, openStack, type StackOptions } from "./stack.ts";

/** `./pipress rollback NAME`: takes hosts back to the release before the one that they serve. */
export async function rollback(name: string, options: StackOptions): Promise<number> {
  const { fullName, config } = await openStack(options);
  const hosts = chooseHosts(await hostsOf(config), name);
  const state = await readStackState(fullName);

  const print = (message: string): void => {
    console.error(message);
  };
  const log = { status: () => undefined, info: print, warn: print };
  const outcomes = await rollBack(hosts, state, config.rollout.concurrency, log, new Interrupts().next());
  for (const { host, ok, message } of outcomes) console.log(ok ? `${host}: ${message}` : message);
  if (outcomes.some(({ ok }) => ok))
    console.log(
      "`./pipress up` leaves it so; after `./pipress refresh`, or with another release, it goes forward again.",
    );
  return outcomes.every(({ ok }) => ok) ? 0 : 1;
}
