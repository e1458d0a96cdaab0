import { connect } from "node:net";
import { readFile } from "node:fs/promises";
import { execa } from "execa";
import type { MachineFolder } from "./folder.ts";

/** The line of a known_hosts file that pins a host key to a loopback port. */
export function knownHostsLine(port: number, hostKey: string): string {
  return `[127.0.0.1]:${port} ${hostKey}\n`;
}

/** `ssh` to a machine with its own key and its pinned host key, and nothing from the user's configuration. */
export function buildSshCommand(folder: MachineFolder, port: number, command: string[] = []): string[] {
  const option = (name: string, value: string) => ["-o", `${name}=${value}`];
  return [
    ...["ssh", "-F", "none", "-i", folder.privateKey, "-p", String(port)],
    ...option("StrictHostKeyChecking", "yes"),
    ...option("UserKnownHostsFile", sshQuote(folder.knownHosts)),
    ...option("GlobalKnownHostsFile", "none"),
    ...option("IdentitiesOnly", "yes"),
    ...option("IdentityAgent", "none"),
    ...option("BatchMode", "yes"),
    ...option("ConnectTimeout", "30"),
    ...["pi@127.0.0.1", ...command],
  ];
}

/** A path inside an ssh option is split at blanks unless quoted. */
function sshQuote(path: string): string {
  return `"${path}"`;
}

/** A new ed25519 key pair without passphrase at `file` and `file.pub`; the public key, with its comment. */
export async function generateKey(file: string, comment: string): Promise<string> {
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", file], {
    stdin: "ignore",
  });
  return readFile(`${file}.pub`, "utf8");
}

/**
 * True when an SSH server greets on this loopback port. Cheap, so it can be asked often while a machine boots; a bare
 * connection says nothing, because QEMU accepts on behalf of the machine.
 */
export function sshGreets(port: number, milliseconds = 5_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const answer = (greets: boolean) => {
      socket.destroy();
      resolve(greets);
    };
    socket.setTimeout(milliseconds, () => {
      answer(false);
    });
    socket.once("data", (data) => {
      answer(data.toString("latin1").startsWith("SSH-"));
    });
    socket.once("error", () => {
      answer(false);
    });
    socket.once("close", () => {
      answer(false);
    });
  });
}
