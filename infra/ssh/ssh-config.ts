import { expandHome, type HostAccess, type PlayHost } from "./host.ts";

/** How long a host may take to greet. */
export const CONNECT_TIMEOUT_SECONDS = 60;

/** Files and names that one run's SSH connections share. All paths are absolute. */
export interface SshFiles {
  config: string;
  knownHosts: string;
  /** Socket of the one connection that everything of this run goes through. */
  control: string;
}

/** Where other ssh commands, Ansible's too, find the settings and the connection that they share. */
export type SshPaths = Pick<SshFiles, "config" | "control">;

/**
 * The ssh_config of one run: ssh, Ansible and the tunnel all use it and nothing else, so that no setting of the user's
 * own configuration changes what is verified or which key is offered.
 */
export function sshConfig(host: PlayHost, files: SshFiles): string {
  const { bastion } = host;
  const blocks = [hostBlock(host.name, host, files, bastion && [`ProxyJump ${bastionAlias(host)}`])];
  if (bastion) blocks.push(hostBlock(bastionAlias(host), bastion, files));
  return blocks.join("\n");
}

/** known_hosts with exactly the keys that are expected. */
export function knownHosts(host: PlayHost): string {
  const lines = [`${host.name} ${host.hostKey}`];
  if (host.bastion) lines.push(`${bastionAlias(host)} ${host.bastion.hostKey}`);
  return `${lines.join("\n")}\n`;
}

function bastionAlias({ name }: PlayHost): string {
  return `${name}-bastion`;
}

function hostBlock(
  alias: string,
  access: HostAccess,
  files: SshFiles,
  extra: readonly string[] = [],
): string {
  const settings = [
    `HostName ${access.address}`,
    `Port ${access.port}`,
    `User ${access.user}`,
    `HostKeyAlias ${alias}`,
    `HostKeyAlgorithms ${hostKeyAlgorithms(access.hostKey)}`,
    `UserKnownHostsFile "${files.knownHosts}"`,
    "GlobalKnownHostsFile /dev/null",
    "StrictHostKeyChecking yes",
    "UpdateHostKeys no",
    "CheckHostIP no",
    "BatchMode yes",
    // A host that computes hard may greet late, and is not off for that; where nobody listens at all, `SshSession` has said so
    // within ten seconds.
    `ConnectTimeout ${CONNECT_TIMEOUT_SECONDS}`,
    // One that is gone in the middle is noticed within a minute.
    "ServerAliveInterval 10",
    "ServerAliveCountMax 6",
    ...identity(access),
    ...extra,
  ];
  return `Host ${alias}\n${settings.map((setting) => `  ${setting}\n`).join("")}`;
}

/** Only the kind of key that is known, or the server may offer another one and look like a stranger. */
function hostKeyAlgorithms(hostKey: string): string {
  const type = hostKey.split(" ")[0] ?? "";
  return type === "ssh-rsa" ? "rsa-sha2-512,rsa-sha2-256" : type;
}

function identity({ privateKeyFile, agentSocket }: HostAccess): string[] {
  if (privateKeyFile !== undefined)
    return [`IdentityFile "${expandHome(privateKeyFile)}"`, "IdentitiesOnly yes"];
  return agentSocket === undefined ? [] : [`IdentityAgent "${expandHome(agentSocket)}"`];
}
