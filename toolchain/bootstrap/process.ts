import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { execa } from "execa";
import { UserError } from "../../common/user-error.ts";

export interface ToolCall {
  /** What is being done, for errors: `engine / build`. */
  where: string;
  command: string;
  args: readonly string[];
  cwd?: string;
  /** Added to this process's environment. */
  env?: Record<string, string>;
  /** Gets every line of output, as it comes. */
  progress?: (line: string) => void;
  signal?: AbortSignal;
  /** The whole output goes here when the call fails. */
  logFile?: string;
  /** What the user can do when it fails. */
  remedy?: string;
  /** Milliseconds after which the call is given up. */
  timeout?: number;
}

const LINES_IN_ERROR = 6;

/**
 * Runs a tool to its end and returns its stdout. It shares this process's group, so that Ctrl-C in a terminal ends
 * both, and it is ended when `signal` is aborted or this process exits.
 * @throws UserError with the last lines of output when it fails.
 */
export async function runTool(call: ToolCall): Promise<string> {
  const lines: string[] = [];
  const onLine = (line: string) => {
    lines.push(line);
    if (line.trim() !== "") call.progress?.(line.trim());
  };
  const child = execa(call.command, call.args, {
    cwd: call.cwd,
    env: call.env,
    stdin: "ignore",
    all: true,
    reject: false,
    cleanup: true,
    cancelSignal: call.signal,
    timeout: call.timeout,
  });
  for await (const line of child.iterable({ from: "all" })) onLine(line);
  const result = await child;
  call.signal?.throwIfAborted();
  if (!result.failed) return result.stdout;

  let remedy = call.remedy;
  if (call.logFile !== undefined) {
    mkdirSync(dirname(call.logFile), { recursive: true });
    writeFileSync(call.logFile, lines.join("\n") + "\n");
    remedy = [remedy, `full output in ${call.logFile}`].filter(Boolean).join("; ");
  }
  const why = result.timedOut
    ? `no end after ${String(Math.round((call.timeout ?? 0) / 1000))} s`
    : result.exitCode === undefined
      ? (result.originalMessage ?? "killed")
      : `exit ${String(result.exitCode)}`;
  const tail = lines.filter((line) => line.trim() !== "").slice(-LINES_IN_ERROR);
  throw new UserError({
    where: call.where,
    what: [`${call.command} failed (${why})`, ...tail].join("\n  "),
    remedy,
  });
}

/** stdout of a quick question to a tool (`--version`), or undefined when it does not answer well within 10 s. */
export async function ask(
  command: string,
  args: readonly string[],
  cwd?: string,
): Promise<string | undefined> {
  const result = await execa(command, args, { cwd, reject: false, timeout: 10_000, stdin: "ignore" });
  return result.failed ? undefined : result.stdout.trim();
}
