import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { quote } from "../../common/shell.ts";
import type { Problem } from "../../common/user-error.ts";
import { expandHome, type Hop } from "./machine.ts";

type Defect = Omit<Problem, "where">;

/** Keys that ssh takes by itself where none is named. */
const usualKeys = ["id_rsa", "id_ecdsa", "id_ed25519"];

/**
 * What is wrong with the key itself, where ssh says no more than that it was not accepted: of the private key file, or of the
 * agent and the usual files that are tried without one.
 * @param usualFolder of the usual files
 * @returns undefined where it is good, so that the machine is the one that does not accept it
 */
export async function userKeyDefect(
  { privateKeyFile, agentSocket }: Hop,
  usualFolder = join(userInfo().homedir, ".ssh"),
): Promise<Defect | undefined> {
  if (privateKeyFile !== undefined) return fileDefect(privateKeyFile);
  const ofAgent = await agentDefect(agentSocket);
  const usual = usualKeys.map((name) => join(usualFolder, name)).filter(existsSync);
  if (ofAgent === undefined || usual.length === 0) return ofAgent;
  const [first] = await Promise.all(usual.map(fileDefect));
  return first;
}

async function fileDefect(given: string): Promise<Defect | undefined> {
  const path = expandHome(given);
  // As a shell takes it: what mends a key is a line to copy.
  const file = /^[\w./~@%+-]+$/.test(given) ? given : quote(path);
  // Prints the public key of a good one.
  const { exitCode, stderr } = await ask("ssh-keygen", ["-y", "-P", "", "-f", path]);
  if (exitCode === 0) return undefined;
  const text = await readFile(path, "latin1").catch(() => undefined);
  if (text === undefined)
    return { what: `${file} is not a file`, remedy: "set privateKeyFile to the key in it" };
  if (stderr.includes("bad permissions"))
    return {
      what: `ssh does not use the private key ${file}, which others can read`,
      remedy: `chmod 600 ${file}`,
    };
  if (stderr.includes("passphrase"))
    return {
      what: `the private key ${file} is protected with a passphrase, and no agent has it`,
      remedy: `\`ssh-add ${file}\`, in the shell that runs this (\`eval "$(ssh-agent)"\` starts an agent)`,
    };
  return malformed(text, file);
}

/** Why ssh can make nothing of a key: it says the same, "error in libcrypto", of each. */
function malformed(text: string, file: string): Defect {
  if (text.trim() === "") return { what: `${file} is empty`, remedy: "set privateKeyFile to a private key" };
  if (/^(?:ssh|ecdsa|sk)-\S+ /.test(text))
    return {
      what: `${file} is a public key, and no agent has the private one`,
      remedy: "`ssh-add` the private one, or set privateKeyFile to it, without .pub",
    };
  if (text.startsWith("PuTTY-User-Key-File"))
    return {
      what: `${file} is a key in the form of PuTTY`,
      remedy: `\`puttygen ${file} -O private-openssh -o KEY\`, and set privateKeyFile to KEY`,
    };
  if (text.includes("\r"))
    return { what: `the lines of ${file} end as on Windows (CRLF)`, remedy: `sed -i 's/\\r$//' ${file}` };
  if (/-----END .*-----$/.test(text))
    return { what: `the last line of ${file} has no end`, remedy: `echo >> ${file}` };
  if (text.startsWith("-----BEGIN"))
    return { what: `the private key ${file} is cut off or damaged`, remedy: "copy the whole file again" };
  return { what: `${file} is no private key`, remedy: "set privateKeyFile to a private key" };
}

async function agentDefect(socket: string | undefined): Promise<Defect | undefined> {
  const address = socket === undefined ? process.env.SSH_AUTH_SOCK : expandHome(socket);
  const { exitCode } = await ask("ssh-add", ["-l"], { SSH_AUTH_SOCK: address });
  if (exitCode === 1)
    return { what: "the SSH agent holds no key", remedy: "`ssh-add` one, or set privateKeyFile" };
  if (exitCode === 2)
    return {
      what: address
        ? `no SSH agent answers at ${address}`
        : "there is no key: no private key is named, and no SSH agent runs",
      remedy: "set privateKeyFile, or agentSocket to the socket of an agent that runs",
    };
  return undefined;
}

function ask(command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  return execa(command, args, {
    env: { ...env, LC_ALL: "C" },
    stdin: "ignore",
    reject: false,
    timeout: 10_000,
  });
}
