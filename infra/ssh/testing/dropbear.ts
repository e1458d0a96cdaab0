import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import getPort from "get-port";
import type { Machine } from "../machine.ts";
import { makeKey, untilListening } from "./sshd.ts";

const binary = "/usr/sbin/dropbear";

/** Why tests that need dropbear cannot run here; undefined when they can. */
export const dropbearMissing =
  existsSync(binary) && userInfo().uid === 0 ? undefined : "no dropbear-bin here, or not root";

/**
 * A real dropbear on loopback, for tests. It takes keys from its user's home alone, so it runs where root's is another one: a
 * mount that only it sees.
 */
export async function startDropbear(name: string): Promise<{ host: Machine; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), "pipress-dropbear-"));
  const { path: privateKeyFile, publicKey } = await makeKey(folder, "user");
  const hostKeyFile = join(folder, "host");
  const { stdout } = await execa("dropbearkey", ["-t", "ed25519", "-f", hostKeyFile]);
  const hostKey = /^ssh-ed25519 \S+/m.exec(stdout)?.[0] ?? "";
  const port = await getPort();
  const script = `
    mount -t tmpfs -o mode=700 tmpfs /root && mkdir -m 700 /root/.ssh && printf %s "$1" > /root/.ssh/authorized_keys &&
    exec ${binary} -F -E -p 127.0.0.1:${port} -r "$2" -P "$3"`;
  const daemon = execa(
    "unshare",
    ["--mount", "sh", "-c", script, "sh", publicKey, hostKeyFile, join(folder, "pid")],
    { reject: false, stdin: "ignore" },
  );
  await untilListening(port);
  return {
    host: { name, address: "127.0.0.1", port, user: "root", hostKey, privateKeyFile },
    remove: async () => {
      daemon.kill();
      await daemon;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
