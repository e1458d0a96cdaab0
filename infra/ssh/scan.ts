import { execa } from "execa";
import { explainFailure } from "./failure.ts";
import { knock } from "./knock.ts";
import { preferredKey } from "./known-hosts.ts";

/** For a connection, in seconds. */
const PATIENCE = 10;

/**
 * The host key that a machine shows now (`ssh-keyscan`). Nobody has verified it: whoever is on the way can show another.
 * @returns `type base64`
 * @throws ConnectionFailure where no SSH server answers there
 */
export async function scanHostKey(address: string, port: number): Promise<string> {
  // A connection for each type, none of which signs in: sshd (from 9.8 on) turns away who makes many of those.
  for (const types of ["ed25519", "ecdsa,rsa"]) {
    const key = preferredKey(await keysOf(address, port, types));
    if (key !== undefined) return key;
  }
  // What the port says, where there is one.
  const machine = { name: address, address, port, user: "pi", hostKey: "" };
  throw explainFailure(machine, { own: (await knock(machine)) ?? "" });
}

async function keysOf(address: string, port: number, types: string): Promise<string[]> {
  const options = ["-T", String(PATIENCE), "-t", types, "-p", String(port), "--", address];
  const { stdout } = await execa("ssh-keyscan", options, { stdin: "ignore", reject: false });
  return stdout.split("\n").flatMap((line) => {
    const [, type, data] = line.startsWith("#") ? [] : line.trim().split(/\s+/);
    return type === undefined || data === undefined ? [] : [`${type} ${data}`];
  });
}
