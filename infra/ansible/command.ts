import { basename, dirname, join } from "node:path";
import type { PlayHost } from "./host.ts";

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
  /** Files of variables, later ones win. */
  vars: readonly string[];
  sshConfig: string;
  sshControl: string;
}

/**
 * The command line of ansible-playbook. Variables travel in files, never as arguments or environment, where every
 * user of this machine could read them.
 *
 * @param check only look: report what would change, change nothing
 */
export function playbookCommand(
  paths: PlaybookPaths,
  check: boolean,
  inherited: Readonly<Record<string, string | undefined>>,
): Command {
  return {
    file: paths.ansiblePlaybook,
    args: [
      "--inventory",
      paths.inventory,
      ...paths.vars.flatMap((file) => ["--extra-vars", `@${file}`]),
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
      ANSIBLE_NOCOLOR: "1",
      ANSIBLE_RETRY_FILES_ENABLED: "0",
      ANSIBLE_LOCAL_TEMP: join(paths.runFolder, "tmp"),
      ANSIBLE_PIPELINING: "1",
      ANSIBLE_HOST_KEY_CHECKING: "1",
      ANSIBLE_SSH_ARGS: `-F ${paths.sshConfig} -o ControlMaster=no -o ControlPath=${paths.sshControl}`,
      // One more try when the connection drops: by then the run's own connection is usually back.
      ANSIBLE_SSH_RETRIES: "3",
    },
  };
}

/** The inventory of a run: one host, which ssh_config knows how to reach. */
export function inventory(host: PlayHost): object {
  return {
    all: {
      hosts: {
        [host.name]: { ansible_connection: "ssh", ansible_python_interpreter: "/usr/bin/python3" },
      },
    },
  };
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
