import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { execa } from "execa";
import type { PlacedHost } from "./hosts.ts";
import { UserError } from "../../common/user-error.ts";
import { repoRoot } from "../../common/paths.ts";
import { findHostKey } from "../ssh/known-hosts.ts";
import { hostsOfInventory, parseListing } from "./inventory-map.ts";

const where = "pipress:inventory";

/**
 * Reads an Ansible inventory, of whatever kind Ansible itself can read, through `ansible-inventory --list`.
 * @param path relative to the repository
 * @param configured groups that have settings in the stack's configuration
 * @param ansiblePlaybook the pinned `ansible-playbook`; its companion lies beside it
 * @throws UserError with every problem of every host
 */
export async function readInventory(
  path: string,
  configured: readonly string[],
  ansiblePlaybook: string,
): Promise<PlacedHost[]> {
  const file = resolve(repoRoot, path);
  if (!existsSync(file)) throw new UserError({ where, what: `there is no file ${file}` });
  const command = join(dirname(ansiblePlaybook), "ansible-inventory");
  // A broken line is a warning to Ansible, which then leaves its hosts out.
  const env = {
    LC_ALL: "C.UTF-8",
    ANSIBLE_INVENTORY_UNPARSED_FAILED: "1",
    ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED: "1",
  };
  const { exitCode, stdout, stderr } = await execa(command, ["--inventory", file, "--list"], {
    env,
    reject: false,
  });
  if (exitCode !== 0)
    throw new UserError({
      where,
      what: `Ansible cannot read ${file}: ${stderr.trim().replace(/\s*\n\s*/g, " ")}`,
      remedy: "`ansible-inventory --list` has to accept it",
    });
  const { hosts, problems } = await hostsOfInventory(parseListing(stdout), path, configured, findHostKey);
  if (problems.length > 0) throw new UserError(problems);
  return hosts;
}
