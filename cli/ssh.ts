import { quote } from "../common/shell.ts";
import type { HostConfig } from "../infra/config/hosts.ts";
import { chooseHost, reach } from "../infra/fleet/choose-hosts.ts";
import { underSh } from "../infra/ssh/remote-shell.ts";
import { Session } from "../infra/ssh/session.ts";
import { Interrupts } from "./interrupts.ts";
import { readStackState } from "./stack-state.ts";
import { hostsOf, openStack, type StackOptions } from "./stack.ts";

/** The unit that serves. */
const UNIT = "pipress-llama.service";
/** Lines of the journal that are shown before those to come. */
const LINES = 200;

/**
 * `./pipress ssh HOST [COMMAND]`: a shell on a host, or one command there, as the fleet's configuration says it is reached and
 * with no host key but the one that it names. Its status is that of the command.
 */
export async function ssh(name: string, command: readonly string[], options: StackOptions): Promise<number> {
  const { fullName, config } = await openStack(options);
  const host = chooseHost(await hostsOf(config), name);
  const words = command[0] === "--" ? command.slice(1) : command;
  // As ssh does: the words come to the shell there as they are.
  return attach(fullName, host, words.length === 0 ? undefined : words.join(" "));
}

/** Shows the journal of a host's llama-server. @param follow goes on until Ctrl-C */
export function showJournal(fullName: string, host: HostConfig, follow: boolean): Promise<number> {
  const arguments_ = [
    "--unit",
    UNIT,
    "--no-pager",
    "--lines",
    String(LINES),
    ...(follow ? ["--follow"] : []),
  ];
  const journalctl = `journalctl ${arguments_.map(quote).join(" ")}`;
  // Raspberry Pi OS lets its first user read the journal (group adm); where sudo asks for nothing, root reads it.
  return attach(
    fullName,
    host,
    underSh(`if sudo -n true 2>/dev/null; then exec sudo -n ${journalctl}; fi; exec ${journalctl}`),
  );
}

async function attach(fullName: string, host: HostConfig, command: string | undefined): Promise<number> {
  const { virtualPis } = await readStackState(fullName);
  // Ctrl-C reaches ssh from the terminal; this process ends when that has.
  new Interrupts().next();
  return Session.use(await reach(host, virtualPis), (session) => session.attach(command));
}
