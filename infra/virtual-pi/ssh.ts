import { connect } from "node:net";
import { readFile } from "node:fs/promises";
import { execa } from "execa";

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
export async function sshGreets(port: number, milliseconds = 5_000): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port });
  socket.setTimeout(milliseconds, () => socket.destroy());
  try {
    for await (const data of socket) return String(data).startsWith("SSH-");
  } catch {
    // Refused, or silent for too long.
  }
  return false;
}
