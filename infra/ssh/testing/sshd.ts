import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import getPort from "get-port";
import { signalAll } from "../../../common/process/signals.ts";
import { processTree, readProc } from "../../../common/process/tree.ts";
import type { Machine } from "../machine.ts";

/**
 * A real sshd of this machine on loopback, for tests: own host key, own user key, a home of its own; nothing of the system's
 * setup, nor of what the user's shell does when it starts.
 */
export interface TestSshd {
  host: Machine;
  folder: string;
  /** Ends the daemon and every connection of it; `start` brings it back on the same port. */
  stop(): Promise<void>;
  start(): Promise<void>;
  remove(): Promise<void>;
}

const binary = ["/usr/sbin/sshd", "/usr/bin/sshd"].find(existsSync);

/** Why tests that need sshd cannot run here; undefined when they can. */
export const sshdMissing =
  binary === undefined ? "no sshd here; install the package openssh-server" : undefined;

/**
 * @param environment variables that every session on this host has
 * @param settings lines of its sshd_config that win over the usual ones
 */
export async function startSshd(
  name = "pi-0",
  environment: Record<string, string> = {},
  settings: readonly string[] = [],
): Promise<TestSshd> {
  if (binary === undefined) throw new Error(sshdMissing);
  const folder = await mkdtemp(join(tmpdir(), "pipress-sshd-"));
  const [hostKey, userKey] = await Promise.all([makeKey(folder, "host"), makeKey(folder, "user")]);
  const port = await getPort();
  const config = join(folder, "sshd_config");
  const home = join(folder, "home");
  await mkdir(home);
  await writeFile(join(folder, "authorized_keys"), userKey.publicKey);
  const base = sshdConfig(folder, port, hostKey.path, { HOME: home, ...environment });
  await writeFile(config, [...settings, base].join("\n"));
  // sshd started by root insists on its privilege separation folder.
  if (userInfo().uid === 0) await mkdir("/run/sshd", { recursive: true });
  const run = () =>
    execa(binary, ["-D", "-e", "-f", config], { reject: false, detached: true, stdin: "ignore" });
  let daemon: ReturnType<typeof run> | undefined;
  const start = async (): Promise<void> => {
    daemon = run();
    await untilListening(port);
  };
  const stop = async (): Promise<void> => {
    if (daemon?.pid !== undefined) signalAll(serving(daemon.pid), "SIGKILL");
    await daemon;
    daemon = undefined;
  };
  await start();
  return {
    folder,
    host: {
      name,
      address: "127.0.0.1",
      port,
      user: userInfo().username,
      hostKey: hostKey.publicKey.trim().split(" ").slice(0, 2).join(" "),
      privateKeyFile: userKey.path,
    },
    start,
    stop,
    remove: async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The daemon and the processes that serve its connections, each in a session of its own; what they run is not among them. */
function serving(daemon: number): number[] {
  return processTree(daemon).filter((pid) => readProc(`/proc/${pid}/comm`)?.startsWith("sshd"));
}

/** Makes an ed25519 key pair `<folder>/<name>`. */
export async function makeKey(folder: string, name: string): Promise<{ path: string; publicKey: string }> {
  const path = join(folder, name);
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path]);
  return { path, publicKey: await readFile(`${path}.pub`, "utf8") };
}

function sshdConfig(
  folder: string,
  port: number,
  hostKey: string,
  environment: Record<string, string>,
): string {
  const variables = Object.entries(environment).map(([name, value]) => `"${name}=${value}"`);
  return `
ListenAddress 127.0.0.1
Port ${port}
HostKey ${hostKey}
PidFile none
AuthorizedKeysFile ${join(folder, "authorized_keys")}
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
UsePAM no
StrictModes no
SetEnv ${variables.join(" ")}
`;
}

export async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => {
        resolve(false);
      });
    });
    if (open) return;
    await sleep(50);
  }
  throw new Error(`sshd does not listen on ${port}`);
}
