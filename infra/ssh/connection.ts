import type { BastionConfig } from "../config/host-schema.ts";
import type { Settings, SshHostConfig } from "../config/hosts.ts";

/** How Ansible reaches a host. */
export interface HostConnection {
  name: string;
  address: string;
  port: number;
  user: string;
  privateKeyFile?: string;
  /** Socket of an SSH agent; without it and without a key file, the session's own agent is asked. */
  agentSocket?: string;
  /** Public host key, verified on every connection. */
  hostKey: string;
  /** A host to jump over. */
  bastion?: BastionConfig & { port: number };
}

/** The part of a host's configuration that says how it is reached. */
export function connectionOf(host: Omit<SshHostConfig, keyof Settings> & { name: string }): HostConnection {
  const { name, address, port, user, hostKey, privateKeyFile, agentSocket, bastion } = host;
  return {
    ...{ name, address, port, user, hostKey },
    ...(privateKeyFile !== undefined && { privateKeyFile }),
    ...(agentSocket !== undefined && { agentSocket }),
    ...(bastion && { bastion }),
  };
}
