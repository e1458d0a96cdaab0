import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { UserError } from "../common/user-error.ts";
import { sudoPasswordVariable } from "../infra/ansible/sudo-password.ts";

/** Our own among the options of operations; Ansible's letter for it. */
export const ASK_SUDO_PASSWORD = "--ask-sudo-password";
export const askSudoPasswordOption = [
  `-K, ${ASK_SUDO_PASSWORD}`,
  "ask for the password that `sudo` wants on the hosts; nothing keeps it",
] as const;

/**
 * Asks for the password at the terminal, without showing it, and puts it into the environment of what is started from here.
 * @throws UserError where there is no terminal
 */
export async function askSudoPassword(): Promise<void> {
  if (!process.stdin.isTTY)
    throw new UserError({
      where: ASK_SUDO_PASSWORD,
      what: "there is no terminal to ask at",
      remedy: `put the password into the environment as ${sudoPasswordVariable}`,
    });
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  // A terminal of its own takes the echo from the real one.
  const terminal = createInterface({ input: process.stdin, output: nowhere, terminal: true });
  try {
    process.stderr.write("password for sudo on the hosts: ");
    const asked = new AbortController();
    terminal.once("SIGINT", () => {
      asked.abort();
    });
    process.env[sudoPasswordVariable] = await terminal.question("", { signal: asked.signal });
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
    throw new UserError({ where: ASK_SUDO_PASSWORD, what: "cancelled" });
  } finally {
    process.stderr.write("\n");
    terminal.close();
  }
}
