import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { execa } from "execa";
import type { Machine } from "../../infra/ssh/machine.ts";
import { startContentServer } from "../../infra/ansible/content-server.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { measure, type Measured } from "../measured.ts";
import type { TrivialRelease } from "./release.ts";
import { plays, type Fleet } from "./program.ts";

/** A rollout, and an `up` that finds nothing to do. */
export interface Ups {
  rollout: Measured;
  noop?: Measured;
  /** How long the canary, which goes first and alone, took of the rollout. */
  canarySeconds?: number;
}

/**
 * The same playbooks, tasks and forks in one `ansible-playbook` over all hosts, twice where `again`. The hosts are this
 * machine, so that they reach the files at a socket in `folder`.
 */
export async function rollOutWithPlainAnsible(
  { hosts, release, concurrency, folder }: Fleet,
  again: boolean,
): Promise<Ups> {
  const knownHosts = join(folder, "known_hosts");
  const inventory = join(folder, "inventory.json");
  const socket = join(folder, "content.sock");
  const vars = {
    ...release.vars,
    pipress_socket: socket,
    ansible_ssh_common_args: `-o UserKnownHostsFile=${knownHosts} -o StrictHostKeyChecking=yes`,
  };
  const varsOf = ({ name, address, port, user, privateKeyFile }: Machine) => ({
    ansible_host: address,
    ansible_port: port,
    ansible_user: user,
    ansible_ssh_private_key_file: privateKeyFile,
    pipress_root: join(folder, "plain", name),
  });
  const hostVars = Object.fromEntries(hosts.map((host) => [host.name, varsOf(host)]));
  writeFileSync(knownHosts, hosts.map((host) => `[${host.address}]:${host.port} ${host.hostKey}\n`).join(""));
  writeFileSync(inventory, JSON.stringify({ all: { vars, hosts: hostVars } }));
  const close = await serveAt(socket, release);
  const { ansiblePlaybook } = readToolchain();
  // Its connections outlive it, in processes that are not its children.
  const connections = join(folder, "cp");
  const env = {
    ANSIBLE_CONFIG: join(plays, "ansible.cfg"),
    ANSIBLE_SSH_CONTROL_PATH_DIR: connections,
  };
  const play = () =>
    measure(
      execa({ env, all: true, reject: false, stdin: "ignore" })`
        ${ansiblePlaybook} --inventory ${inventory} --forks ${concurrency} ${plays}/stage.yml ${plays}/site.yml`,
      connections,
    );
  try {
    return { rollout: await play(), ...(again && { noop: await play() }) };
  } finally {
    await close();
  }
}

/** Serves the release's files at a unix socket, where the tunnel of a host would end. */
async function serveAt(socket: string, { files }: TrivialRelease): Promise<() => Promise<void>> {
  const content = await startContentServer(files);
  const server = createServer((incoming) => {
    const outgoing = connect(content.port, "127.0.0.1");
    pipeline(incoming, outgoing, incoming, () => undefined); // an end that breaks ends the other
  });
  await new Promise<void>((resolve) => void server.listen(socket, resolve));
  return async () => {
    await content.close();
    await new Promise((resolve) => server.close(resolve));
  };
}
