import { execa } from "execa";
import type { ConnectionFailure } from "./failure.ts";
import type { Hop } from "./machine.ts";

/** Settings of ssh_config that say how one gets to a machine, by what they are called here. */
const settings: Record<string, (value: string) => string> = {
  hostname: (value) => `address: ${value}`,
  port: (value) => `port: ${value}`,
  user: (value) => `user: ${value}`,
  identityfile: (value) => `privateKeyFile: ${value}`,
  identityagent: (value) => `agentSocket: ${value}`,
  proxyjump: (value) => `bastion: { address: ${value}, … }`,
  proxycommand: (value) => `bastion: { … } (in place of ProxyCommand ${value})`,
};

/**
 * Adds to a failure what the user's own ssh configuration says about the address. It is not read otherwise: an address
 * stands in the URL of a host, in its balancer and in the stack's state, which other people and machines use.
 * @param file an ssh_config, @default the one that ssh reads by itself
 */
export async function hintAtUserConfig(
  failure: ConnectionFailure,
  file?: string,
): Promise<ConnectionFailure> {
  const { address } = failure.hop;
  const lines = await userSettings(failure.hop, file === undefined ? [] : ["-F", file]);
  if (lines.length === 0) return failure;
  const isAlias =
    failure.message.includes("does not resolve") && lines.some((line) => /^(?:address|bastion):/.test(line));
  if (!isAlias)
    return failure.withHint(
      `ssh's own configuration, which is not read, has for ${address}: ${lines.join(", ")}`,
    );
  return failure.with(
    {
      what: `${address} is an alias of ssh's own configuration on this machine, which is not read`,
      remedy: `write what it stands for: ${lines.join(", ")}`,
    },
    "setting",
  );
}

/** What ssh would do otherwise for the address than is configured here, as lines of this program's configuration. */
async function userSettings(hop: Hop, options: readonly string[]): Promise<string[]> {
  const { address, port, user, privateKeyFile, agentSocket } = hop;
  const [own, usual] = await Promise.all([
    settingsOf(address, options),
    settingsOf(address, ["-F", "/dev/null"]),
  ]);
  const here = { address, port, user, privateKeyFile, agentSocket };
  const same = Object.entries(here).map(([name, value]) => `${name}: ${String(value)}`);
  return own.filter((line) => !usual.includes(line) && !same.includes(line));
}

/** What ssh takes for the address, without connecting. */
async function settingsOf(address: string, options: readonly string[]): Promise<string[]> {
  const { stdout } = await execa("ssh", [...options, "-G", address], {
    stdin: "ignore",
    reject: false,
    timeout: 10_000,
  });
  return (stdout ?? "").split("\n").flatMap((line) => {
    const [key = "", ...value] = line.split(" ");
    return settings[key]?.(value.join(" ")) ?? [];
  });
}
