import { chooseHosts, rollBack } from "../infra/fleet/rollout/rollback.ts";
import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { readArguments, readStack } from "./stack-config.ts";

/** `npm run rollback -- HOST|GROUP [--stack STACK]`: takes hosts back to the release before the one that they serve. */
export async function main(args: string[]): Promise<number> {
  const { name, configArgs } = readArguments(args, "npm run rollback -- HOST|GROUP [--stack STACK]");
  await bootstrap();
  const { config, fleet } = await readStack(configArgs);
  const hosts = chooseHosts(fleet, name);

  const say = (message: string): void => {
    console.error(message);
  };
  const cancel = new AbortController();
  process.once("SIGINT", () => {
    cancel.abort();
  });
  const log = { status: () => undefined, info: say, warn: say };
  const outcomes = await rollBack(hosts, config.rollout.concurrency, log, cancel.signal);
  for (const { host, message } of outcomes) console.log(`${host}: ${message}`);
  if (outcomes.some(({ ok }) => ok))
    console.log(
      "`pulumi up` leaves it so; after `pulumi refresh`, or with another release, it goes forward again.",
    );
  return outcomes.every(({ ok }) => ok) ? 0 : 1;
}
