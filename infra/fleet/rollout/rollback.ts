import type { HostConfig } from "../../config/hosts.ts";
import { sudoVars } from "../../ansible/sudo-password.ts";
import { closeConnections } from "../../ansible/run.ts";
import { UserError } from "../../../common/user-error.ts";
import type { ResourceLog } from "../../plugin/handler.ts";
import { reach } from "../choose-hosts.ts";
import { runOnHost } from "./playbook-resource.ts";

/**
 * Takes hosts back to the release before the one that they serve; each decides by its own health check.
 * @param stackId whose hosts they are to be; undefined before the stack's first `up`
 * @param virtualPis ids of virtual hosts, by name
 * @returns what became of each host, in one sentence; a failure of one keeps no other from going back
 */
export async function rollBack(
  hosts: readonly HostConfig[],
  { stackId, virtualPis }: { stackId: string | undefined; virtualPis: ReadonlyMap<string, string> },
  concurrency: number,
  log: ResourceLog,
  signal: AbortSignal,
): Promise<{ host: string; ok: boolean; message: string }[]> {
  const outcomes = hosts.map(async (config) => {
    const { name } = config;
    try {
      const host = await reach(config, virtualPis);
      const vars = stackId === undefined ? {} : { pipress_owner: { id: stackId } };
      const secretVars = sudoVars(config.sudoPassword);
      const run = { playbook: "ansible/rollback.yml", host, vars, secretVars, concurrency };
      const { results } = await runOnHost(run, log, signal);
      const { release, left } = results as { release: string; left: string };
      const message = `serves ${short(release)} again; ${short(left)} is marked bad there`;
      return { host: name, ok: true, message };
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return { host: name, ok: false, message: error.message };
    }
  });
  // Nothing plays on these hosts again.
  return Promise.all(outcomes).finally(closeConnections);
}

function short(digest: string): string {
  return digest.slice(0, 12);
}
