/** Runs a command on a remote host: command:remote:Command (remote/commandOutputs.go). */
import { constants } from "node:os";

import type { Client, ClientChannel } from "ssh2";

import { commandFailure } from "./messages.ts";
import { graceMilliseconds, type Operation } from "./operation.ts";
import { OutputCapture, previousOutput, type Logging, type Streams } from "./output.ts";
import { dial, type Connection } from "./ssh-connection.ts";
import { execWithEnvironment, sendSignal } from "./ssh2-internals.ts";

export interface RemoteInputs {
  connection: Connection;
  stdin?: string;
  environment?: Record<string, string>;
  logging?: Logging;
  addPreviousOutputInEnv?: boolean;
}

/** OpenSSH drops the connection at a packet of 256 KiB; a variable must fit in one. */
const maxVariableBytes = 200 * 1024;

/**
 * Connects, runs the command to its end, showing its lines as they come, and disconnects.
 * @param previous outputs of the last run, offered to the command's environment
 * @throws Error with the exit status, the command and its output
 */
export async function runRemotely(
  command: string,
  inputs: RemoteInputs,
  previous: Partial<Streams>,
  operation: Operation,
): Promise<Streams> {
  const client = await dial(inputs.connection, operation);
  try {
    const channel = await startCommand(client, command, inputs, previous, operation);
    const output = new OutputCapture(operation.log, inputs.logging);
    const stopWatching = terminateOnAbort(client, channel, operation.signal);
    const fate = await ended(client, channel, output).finally(stopWatching);
    if (fate) throw new Error(commandFailure(fate, command, output.interleaved));
    return output.streams;
  } finally {
    client.end();
  }
}

/**
 * Sends the environment and starts the command. A variable of `environment` that the server refuses is an error; the
 * last run's outputs are offered, and a refusal is only a warning.
 */
async function startCommand(
  client: Client,
  command: string,
  inputs: RemoteInputs,
  previous: Partial<Streams>,
  { log }: Operation,
): Promise<ClientChannel> {
  const wanted = inputs.environment ?? {};
  const offered = previousOutput(previous, inputs.addPreviousOutputInEnv);
  for (const [name, value] of Object.entries(offered)) {
    if (Buffer.byteLength(value) <= maxVariableBytes) continue;
    log.say("warning", `Unable to set '${name}': the last run's output is too large for an SSH variable.`);
    offered[name] = "";
  }
  const environment = {
    ...wanted,
    ...Object.fromEntries(Object.entries(offered).filter(([, value]) => value)),
  };
  const channel = await execWithEnvironment(client, command, environment, (name) => {
    const isWanted = name in wanted;
    log.say(
      isWanted ? "error" : "warning",
      `Unable to set '${name}'. This only works if your SSH server is configured to accept these variables via ` +
        "AcceptEnv. Alternatively, if a Bash-like shell runs the command on the remote host, you could prefix the " +
        "command itself with the variables in the form 'VAR=value command'",
    );
    if (isWanted) throw new Error(`could not set environment variable "${name}": ssh: setenv failed`);
  });
  channel.on("error", () => undefined);
  channel.end(inputs.stdin ?? "");
  return channel;
}

/** Waits for the command's end. Resolves to "" on success, to what became of it otherwise. */
function ended(client: Client, channel: ClientChannel, output: OutputCapture): Promise<string> {
  return new Promise((resolve) => {
    let fate = "wait: remote command exited without exit status or exit signal";
    client.on("error", ({ message }) => (fate += ` (${message})`));
    const done = () => {
      output.end();
      resolve(fate);
    };
    channel.on("data", (bytes: Buffer) => {
      output.add("stdout", bytes);
    });
    channel.stderr.on("data", (bytes: Buffer) => {
      output.add("stderr", bytes);
    });
    channel.once("exit", (code: number | null, signal?: string, _dumped?: boolean, reason?: string) => {
      if (signal) fate = killedFate(signal, reason);
      else fate = code === 0 ? "" : `Process exited with status ${code}`;
    });
    channel.once("close", done);
    client.once("close", done);
  });
}

function killedFate(signal: string, reason: string | undefined): string {
  const name = signal.replace(/^SIG/, "");
  const number = (constants.signals as Record<string, number>)[`SIG${name}`];
  const status = `Process exited with status ${number === undefined ? 1 : 128 + number} from signal ${name}`;
  return reason ? `${status}. Reason was: ${reason}` : status;
}

/**
 * On abort: SIGTERM to the remote command, then hang up after the grace time. (The official provider leaves a remote
 * command alone, whatever happens here.)
 */
function terminateOnAbort(client: Client, channel: ClientChannel, signal: AbortSignal): () => void {
  let timer: NodeJS.Timeout | undefined;
  const terminate = () => {
    sendSignal(client, channel, "TERM");
    timer = setTimeout(() => client.destroy(), graceMilliseconds);
  };
  if (signal.aborted) terminate();
  signal.addEventListener("abort", terminate, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", terminate);
  };
}
