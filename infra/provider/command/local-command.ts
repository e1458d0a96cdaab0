/** Runs a command on this machine: command:local:Command and command:local:run (local/commandOutputs.go). */
import { spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";

import { findFiles, toArchive, toAssets } from "./assets.ts";
import { commandFailure } from "./messages.ts";
import { graceMilliseconds, type Operation } from "./operation.ts";
import { OutputCapture, previousOutput, type Logging, type Streams } from "./output.ts";
import type { WireObject } from "./values.ts";

export interface LocalInputs {
  stdin?: string;
  environment?: Record<string, string>;
  logging?: Logging;
  interpreter?: string[];
  dir?: string;
  assetPaths?: string[];
  archivePaths?: string[];
  addPreviousOutputInEnv?: boolean;
}

/**
 * Runs the command to its end, showing its lines as they come.
 * @param previous outputs of the last run, for the command's environment
 * @returns stdout, stderr, and the files that the globs match
 * @throws Error with the exit status, the command and its output, when it fails or cannot start
 */
export async function runLocally(
  command: string,
  inputs: LocalInputs,
  previous: Partial<Streams>,
  operation: Operation,
): Promise<WireObject> {
  const dir = inputs.dir ?? process.cwd();
  const streams = await runProcess(command, inputs, dir, previous, operation);
  const outputs: WireObject = { ...streams };
  if (inputs.assetPaths) outputs["assets"] = await toAssets(dir, await findFiles(dir, inputs.assetPaths));
  if (inputs.archivePaths)
    outputs["archive"] = await toArchive(dir, await findFiles(dir, inputs.archivePaths));
  return outputs;
}

async function runProcess(
  command: string,
  inputs: LocalInputs,
  dir: string,
  previous: Partial<Streams>,
  { log, signal }: Operation,
): Promise<Streams> {
  const [program = "/bin/sh", ...args] = inputs.interpreter?.length ? inputs.interpreter : ["/bin/sh", "-c"];
  const output = new OutputCapture(log, inputs.logging);
  const fail = (fate: string) => new Error(commandFailure(fate, command, output.interleaved));
  if (signal.aborted) throw fail((signal.reason as Error).message);
  if (!existsSync(dir)) throw fail(`chdir ${dir}: no such file or directory`);

  const environment = {
    ...process.env,
    ...inputs.environment,
    ...previousOutput(previous, inputs.addPreviousOutputInEnv),
  };
  let child: ChildProcess;
  try {
    child = spawn(program, [...args, command], {
      cwd: dir,
      env: environment,
      // Without input the command reads /dev/null, never the pipe that the engine holds.
      stdio: [inputs.stdin ? "pipe" : "ignore", "pipe", "pipe"],
      // A process group of its own, so that a cancelled `sh -c` takes its children along.
      detached: true,
    });
  } catch (error) {
    // Node throws where the arguments themselves are impossible, e.g. an environment past the system's limit.
    throw fail(startFailure(program, error as NodeJS.ErrnoException));
  }
  child.stdout?.on("data", (bytes: Buffer) => {
    output.add("stdout", bytes);
  });
  child.stderr?.on("data", (bytes: Buffer) => {
    output.add("stderr", bytes);
  });
  // A command that ends without reading its input is no error.
  child.stdin?.on("error", () => undefined).end(inputs.stdin);

  const stopWatching = terminateOnAbort(child, signal);
  try {
    const fate = await ended(child, program);
    output.end();
    if (fate) throw fail(fate);
    return output.streams;
  } finally {
    stopWatching();
  }
}

/** Waits until the process and everyone who shares its output has gone. Resolves to "" on success. */
function ended(child: ChildProcess, program: string): Promise<string> {
  return new Promise((resolve) => {
    child.once("error", (error: NodeJS.ErrnoException) => {
      resolve(startFailure(program, error));
    });
    child.once("close", (code, signal) => {
      if (signal) resolve(`signal: ${signalName(signal)}`);
      else resolve(code === 0 ? "" : `exit status ${code}`);
    });
  });
}

/**
 * On abort: SIGTERM to the command's process group, SIGKILL after the grace time. (The official provider sends SIGKILL
 * to the command's first process alone, and then waits for its children.)
 */
function terminateOnAbort(child: ChildProcess, signal: AbortSignal): () => void {
  let timer: NodeJS.Timeout | undefined;
  const terminate = () => {
    killGroup(child, "SIGTERM");
    timer = setTimeout(() => {
      killGroup(child, "SIGKILL");
      // Who left the group may still hold the pipes; nobody waits for them any longer.
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, graceMilliseconds);
  };
  signal.addEventListener("abort", terminate, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", terminate);
  };
}

function killGroup({ pid }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone.
  }
}

function startFailure(program: string, { code }: NodeJS.ErrnoException): string {
  const bare = !program.includes("/");
  if (code === "ENOENT" && bare)
    return `exec: ${JSON.stringify(program)}: executable file not found in $PATH`;
  const reasons: Record<string, string> = {
    ENOENT: "no such file or directory",
    EACCES: "permission denied",
    E2BIG:
      "argument list too long (the last run's output is part of the environment; " +
      "addPreviousOutputInEnv: false leaves it out)",
  };
  return `fork/exec ${program}: ${reasons[code ?? ""] ?? code ?? "failed"}`;
}

/** A signal's name as Go prints it. */
function signalName(signal: NodeJS.Signals): string {
  const names: Partial<Record<NodeJS.Signals, string>> = {
    SIGHUP: "hangup",
    SIGINT: "interrupt",
    SIGQUIT: "quit",
    SIGABRT: "aborted",
    SIGBUS: "bus error",
    SIGFPE: "floating point exception",
    SIGILL: "illegal instruction",
    SIGKILL: "killed",
    SIGPIPE: "broken pipe",
    SIGSEGV: "segmentation fault",
    SIGTERM: "terminated",
  };
  return names[signal] ?? `signal ${constants.signals[signal]}`;
}
