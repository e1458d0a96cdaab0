import { UserError } from "../common/user-error.ts";
import type { FleetOutputs } from "../infra/fleet/table.ts";
import { waitUntilServing } from "../infra/fleet/wait-until-serving.ts";

/**
 * Waits until the hosts of a stack serve: what `up` ends with, since it had nothing to do on a board that has just booted.
 * @param names of those that it was for; undefined for all
 * @throws UserError naming those that do not
 */
export async function awaitHosts(
  { report }: Partial<FleetOutputs>,
  names?: readonly string[],
): Promise<void> {
  const hosts = (report?.hosts ?? []).filter(({ host }) => names?.includes(host) ?? true);
  const problems = await waitUntilServing(hosts, (line) => {
    console.error(line);
  });
  if (problems.length > 0) throw new UserError(problems);
}
