import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { quote } from "../../common/shell.ts";
import { expandHome, type Hop, type Machine } from "./machine.ts";

/** How long a machine may take to greet. */
export const CONNECT_TIMEOUT_SECONDS = 60;

/** The files of everything that ssh does with one machine. All paths are absolute. */
export interface SshFiles {
  config: string;
  knownHosts: string;
  /** Socket of a connection that others share. */
  control: string;
  /** What ssh says about the machine, and about its bastion, apart from what a command there prints. */
  log: string;
  bastionLog: string;
}

/** Where other ssh commands, Ansible's too, find the settings and the connection that they share. */
export type SshPaths = Pick<SshFiles, "config" | "control">;

/** Writes what ssh is to know about the machine, and nothing else, into a private folder. */
export async function writeSshFiles(folder: string, machine: Machine): Promise<SshFiles> {
  const files = {
    config: join(folder, "ssh_config"),
    knownHosts: join(folder, "known_hosts"),
    control: join(folder, "control"),
    log: join(folder, "log"),
    bastionLog: join(folder, "bastion-log"),
  };
  await writeFile(files.knownHosts, knownHosts(machine), { mode: 0o600 });
  await writeFile(files.config, sshConfig(machine, files), { mode: 0o600 });
  return files;
}

/**
 * An ssh_config for one machine: ssh, Ansible and the tunnel all use it and nothing else, so that no setting of the user's
 * own configuration changes what is verified or which key is offered.
 */
export function sshConfig(machine: Machine, files: SshFiles): string {
  const { bastion, name } = machine;
  if (bastion === undefined) return hostBlock(name, machine, files);
  // Not ProxyJump, whose messages nobody could tell from those about the machine itself.
  const jump = ["ssh", "-F", files.config, "-E", files.bastionLog, "-W", "[%h]:%p", bastionAlias(machine)];
  const command = jump.map((argument) => (argument.includes("%h") ? `'${argument}'` : shellQuote(argument)));
  return [
    hostBlock(name, machine, files, [`ProxyCommand ${command.join(" ")}`]),
    hostBlock(bastionAlias(machine), bastion, files),
  ].join("\n");
}

/** known_hosts with exactly the keys that are expected. */
export function knownHosts(machine: Machine): string {
  const lines = [`${machine.name} ${machine.hostKey}`];
  if (machine.bastion) lines.push(`${bastionAlias(machine)} ${machine.bastion.hostKey}`);
  return `${lines.join("\n")}\n`;
}

/** The bastion's name in the ssh_config of a machine. */
export function bastionAlias({ name }: Machine): string {
  return `${name}-bastion`;
}

function hostBlock(alias: string, hop: Hop, files: SshFiles, extra: readonly string[] = []): string {
  const settings = [
    `HostName ${hop.address}`,
    `Port ${hop.port}`,
    `User ${hop.user}`,
    `HostKeyAlias ${alias}`,
    `HostKeyAlgorithms ${hostKeyAlgorithms(hop.hostKey)}`,
    `UserKnownHostsFile ${quotePath(files.knownHosts)}`,
    "GlobalKnownHostsFile /dev/null",
    "StrictHostKeyChecking yes",
    "UpdateHostKeys no",
    "CheckHostIP no",
    "BatchMode yes",
    // A host that computes hard may greet late, and is not off for that; where nobody listens at all, `Connection` has said
    // so within ten seconds.
    `ConnectTimeout ${CONNECT_TIMEOUT_SECONDS}`,
    // One that is gone in the middle is noticed within a minute.
    "ServerAliveInterval 10",
    "ServerAliveCountMax 6",
    ...identity(hop),
    ...extra,
  ];
  return `Host ${alias}\n${settings.map((setting) => `  ${setting}\n`).join("")}`;
}

/** Only the kind of key that is known, or the server may offer another one and look like a stranger. */
function hostKeyAlgorithms(hostKey: string): string {
  const type = hostKey.split(" ")[0] ?? "";
  return type === "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : type;
}

/** With a key file no other key is offered, whatever an agent holds: sshd looks at a few, and ends the connection then. */
function identity({ privateKeyFile, agentSocket }: Hop): string[] {
  const agent = agentSocket === undefined ? [] : [`IdentityAgent ${quotePath(expandHome(agentSocket))}`];
  if (privateKeyFile === undefined) return agent;
  return [...agent, `IdentityFile ${quotePath(expandHome(privateKeyFile))}`, "IdentitiesOnly yes"];
}

/** A path as ssh_config takes it: split at blanks unless quoted, and with `%` for what ssh fills in. */
function quotePath(path: string): string {
  return `"${path.replaceAll("%", "%%")}"`;
}

/** The same inside a command that ssh hands to a shell. */
function shellQuote(word: string): string {
  return quote(word.replaceAll("%", "%%"));
}
