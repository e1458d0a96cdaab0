import { createHmac } from "node:crypto";

/** Which kind of key is taken where a host has several. */
const preferred = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "ssh-rsa",
];

/**
 * The key that a `known_hosts` file (sshd(8)) holds for a host, plain or hashed names alike.
 * @returns `type base64`; undefined where there is none, or only a revoked one. Names with wildcards do not count: they
 * stand for no one host.
 */
export function findHostKey(knownHosts: string, address: string, port: number): string | undefined {
  const name = port === 22 ? address : `[${address}]:${port}`;
  const revoked = new Set<string>();
  const found: string[] = [];
  for (const line of knownHosts.split("\n")) {
    const fields = line.trim().split(/\s+/);
    if (fields[0] === "@revoked") revoked.add(fields[3] ?? "");
    const [names = "", type = "", key = ""] = fields;
    if (key === "" || names.startsWith("#") || names.startsWith("@")) continue;
    if (names.split(",").some((each) => isName(each, name))) found.push(`${type} ${key}`);
  }
  const good = found.filter((key) => !revoked.has(key.split(" ")[1] ?? ""));
  const rank = (key: string): number => preferred.indexOf(key.split(" ")[0] ?? "");
  return good.filter((key) => rank(key) >= 0).sort((a, b) => rank(a) - rank(b))[0];
}

/** `|1|salt|HMAC-SHA1(salt, name)`, or the name itself. */
function isName(entry: string, name: string): boolean {
  const [empty, version, salt, hash] = entry.split("|");
  if (empty !== "" || version !== "1" || salt === undefined || hash === undefined)
    return entry.toLowerCase() === name.toLowerCase();
  return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
}
