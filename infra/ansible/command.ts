import { basename, dirname, join } from "node:path";
import { CONNECT_TIMEOUT_SECONDS, type SshPaths } from "../ssh/config-file.ts";
import { literal } from "./variables.ts";

/** A command as data: what runs, not how. */
export interface Command {
  file: string;
  args: readonly string[];
  cwd: string;
  env: Readonly<Record<string, string>>;
}

/** Where the parts of one run are. All paths are absolute. */
export interface PlaybookPaths {
  ansiblePlaybook: string;
  playbook: string;
  /** Folder of ansible.cfg, roles and the event plugin. */
  ansibleFolder: string;
  /** Private folder of this run. */
  runFolder: string;
  inventory: string;
}

/** A host of a run. */
export interface InventoryHost {
  name: string;
  /** Its own ssh_config, and the connection that its run has opened. Both paths are absolute. */
  ssh: SshPaths;
  vars: Record<string, unknown>;
}

/**
 * The command line of ansible-playbook. Variables travel in the inventory, never as arguments or environment, where every
 * user of this machine could read them.
 *
 * @param check only look: report what would change, change nothing
 * @param forks maximum concurrent hosts
 */
export function playbookCommand(
  paths: PlaybookPaths,
  { check, forks }: { check: boolean; forks: number },
  inherited: Readonly<Record<string, string | undefined>>,
): Command {
  return {
    file: paths.ansiblePlaybook,
    args: [
      "--inventory",
      paths.inventory,
      "--forks",
      String(forks),
      ...(check ? ["--check", "--diff"] : []),
      paths.playbook,
    ],
    cwd: paths.ansibleFolder,
    env: {
      ...pick(inherited, ["HOME", "SSH_AUTH_SOCK", "TMPDIR"]),
      PATH: [dirname(paths.ansiblePlaybook), inherited.PATH ?? "/usr/bin:/bin"].join(":"),
      LANG: "C.UTF-8",
      LC_ALL: "C.UTF-8",
      PYTHONUNBUFFERED: "1",
      ANSIBLE_CONFIG: join(paths.ansibleFolder, "ansible.cfg"),
      ANSIBLE_CALLBACK_PLUGINS: join(paths.ansibleFolder, "callback_plugins"),
      ANSIBLE_STDOUT_CALLBACK: "pipress_events",
      // Each host goes at its own pace, one that is slow or gone holds up no other; no more than `forks` are under way at a time.
      ANSIBLE_STRATEGY: "host_pinned",
      ANSIBLE_NOCOLOR: "1",
      ANSIBLE_RETRY_FILES_ENABLED: "0",
      ANSIBLE_LOCAL_TEMP: join(paths.runFolder, "tmp"),
      ANSIBLE_PIPELINING: "1",
      ANSIBLE_HOST_KEY_CHECKING: "1",
      // One more try when the connection drops: by then the run's own connection is usually back.
      ANSIBLE_SSH_RETRIES: "3",
    },
  };
}

/** The inventory of a run: its hosts, each with its variables and the ssh_config that knows how to reach it. */
export function inventory(hosts: readonly InventoryHost[]): object {
  const entries = hosts.map(({ name, ssh, vars }) => [
    name,
    {
      ...(literal(vars) as Record<string, unknown>),
      ansible_connection: "ssh",
      ansible_python_interpreter: "/usr/bin/python3",
      // The first mention of an option counts: Ansible's own timeout is for a busy host, a host that is off is known sooner.
      ansible_ssh_args: `-F ${ssh.config} -o ControlMaster=no -o ControlPath=${ssh.control} -o ConnectTimeout=${CONNECT_TIMEOUT_SECONDS}`,
    },
  ]);
  return { all: { hosts: Object.fromEntries(entries) as Record<string, unknown> } };
}

/** `site` of `/x/ansible/site.yml`. */
export function playbookName(path: string): string {
  return basename(path).replace(/\.ya?ml$/, "");
}

function pick(
  source: Readonly<Record<string, string | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const present = names.map((name) => [name, source[name]] as const).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as Record<string, string>;
}
