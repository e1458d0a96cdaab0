import { basename, dirname, join } from "node:path";
import { CONNECT_TIMEOUT_SECONDS, type SshPaths } from "../ssh/config-file.ts";

/** Where the parts of one run are. All paths are absolute. */
export interface PlaybookPaths {
  ansiblePlaybook: string;
  /** Beside it are ansible.cfg, roles and the event plugin. */
  playbook: string;
  inventory: string;
  /** For Ansible's own files. */
  temp: string;
}

/** A host of a run. */
export interface InventoryHost {
  name: string;
  /** Its own ssh_config, and the connection that its run has opened. Both paths are absolute. */
  ssh: SshPaths;
  /** Who signs in: Ansible uses sudo where it is not root. */
  user: string;
  vars: Record<string, unknown>;
}

/**
 * The command line of ansible-playbook as data. Variables travel in the inventory, never as arguments or environment, where
 * every user of this machine could read them.
 *
 * @param check only look: report what would change, change nothing
 * @param forks maximum concurrent hosts
 */
export function playbookCommand(
  { ansiblePlaybook, playbook, inventory, temp }: PlaybookPaths,
  { check, forks }: { check: boolean; forks: number },
  inherited: NodeJS.ProcessEnv,
) {
  const cwd = dirname(playbook);
  const mode = check ? ["--check", "--diff"] : [];
  return {
    file: ansiblePlaybook,
    args: ["--inventory", inventory, "--forks", String(forks), ...mode, playbook],
    cwd,
    env: {
      HOME: inherited.HOME,
      SSH_AUTH_SOCK: inherited.SSH_AUTH_SOCK,
      TMPDIR: inherited.TMPDIR,
      PATH: [dirname(ansiblePlaybook), inherited.PATH ?? "/usr/bin:/bin"].join(":"),
      LANG: "C.UTF-8",
      LC_ALL: "C.UTF-8",
      PYTHONUNBUFFERED: "1",
      ANSIBLE_CONFIG: join(cwd, "ansible.cfg"),
      ANSIBLE_CALLBACK_PLUGINS: join(cwd, "callback_plugins"),
      ANSIBLE_STDOUT_CALLBACK: "pipress_events",
      // Each host goes at its own pace, one that is slow or gone holds up no other; no more than `forks` are under way at a time.
      ANSIBLE_STRATEGY: "host_pinned",
      ANSIBLE_NOCOLOR: "1",
      ANSIBLE_RETRY_FILES_ENABLED: "0",
      ANSIBLE_LOCAL_TEMP: temp,
      ANSIBLE_PIPELINING: "1",
      ANSIBLE_HOST_KEY_CHECKING: "1",
      // One more try when the connection drops: by then the run's own connection is usually back.
      ANSIBLE_SSH_RETRIES: "3",
    },
  };
}

/** The inventory of a run: its hosts, each with its variables and the ssh_config that knows how to reach it. */
export function inventory(hosts: readonly InventoryHost[]): object {
  const entries = hosts.map(({ name, ssh, user, vars }) => [
    name,
    {
      ...(literal(vars) as Record<string, unknown>),
      ansible_connection: "ssh",
      ansible_user: user,
      ansible_python_interpreter: "/usr/bin/python3",
      // The first mention of an option counts: Ansible's own timeout is for a busy host, a host that is off is known sooner.
      ansible_ssh_args: `-F ${ssh.config} -o ControlMaster=no -o ControlPath=${ssh.control} -o ConnectTimeout=${CONNECT_TIMEOUT_SECONDS}`,
    },
  ]);
  return { all: { hosts: Object.fromEntries(entries) as Record<string, unknown> } };
}

/**
 * Variables as they are to mean: text with `{{` or `{%` in it (the smoke test's prompt, an API key) is marked so that Ansible
 * passes it on instead of running it as a template.
 */
export function literal(value: unknown): unknown {
  if (typeof value === "string") return /\{[{%#]/.test(value) ? { __ansible_unsafe: value } : value;
  if (Array.isArray(value)) return value.map(literal);
  if (value !== null && typeof value === "object")
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, literal(entry)]));
  return value;
}

/** `site` of `/x/ansible/site.yml`. */
export function playbookName(path: string): string {
  return basename(path).replace(/\.ya?ml$/, "");
}
