import { homedir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** Which kind of key is taken where a host has several. */
const preferred = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
  "sk-ssh-ed25519@openssh.com",
  "sk-ecdsa-sha2-nistp256@openssh.com",
];

/** What this user's and this machine's ssh know. */
const usualFiles = [join(homedir(), ".ssh", "known_hosts"), "/etc/ssh/ssh_known_hosts"];

/**
 * The host key that ssh itself would accept from this address, by its known_hosts: `ssh-keygen -F` looks there.
 * @returns `type base64`; undefined where there is none, or only a revoked one or one of an authority
 */
export async function findHostKey(
  address: string,
  port: number,
  files: readonly string[] = usualFiles,
): Promise<string | undefined> {
  const name = port === 22 ? address : `[${address}]:${port}`;
  const listed = await Promise.all(
    // A file that is not there knows no host.
    files.map((file) => execa("ssh-keygen", ["-F", name, "-f", file], { reject: false, stdin: "ignore" })),
  );
  const keys: string[] = [];
  const revoked = new Set<string>();
  for (const line of listed.flatMap(({ stdout }) => stdout.split("\n"))) {
    const fields = line.trim().split(/\s+/);
    const [marker = ""] = fields;
    if (marker === "@revoked") revoked.add(`${fields[2]} ${fields[3]}`);
    else if (!/^[@#]/.test(marker)) keys.push(`${fields[1]} ${fields[2]}`);
  }
  return preferredKey(keys.filter((key) => !revoked.has(key)));
}

/** The one of a machine's keys that is taken. @param keys each as `type base64` */
export function preferredKey(keys: readonly string[]): string | undefined {
  return preferred.flatMap((type) => keys.filter((key) => key.startsWith(`${type} `)))[0];
}
