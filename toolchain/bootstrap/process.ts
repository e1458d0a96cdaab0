import { mkdirSync } from "node:fs";
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
  /** Gets the whole output, as it comes. */
  logFile?: string;
  /** What the user can do when it fails; a function is given all lines of output. */
  remedy?: string | ((lines: readonly string[]) => string);
  /** Says from all lines of output why it failed. @default its exit code and its last lines */
  reason?: (lines: readonly string[]) => string;
  /** Milliseconds after which the call is given up. */
  timeout?: number;
  /** Gives it a process group of its own, all of which is ended when `signal` is aborted. */
  ownGroup?: boolean;
}

const LINES_IN_ERROR = 6;

/**
 * Runs a tool to its end and returns its stdout. It shares this process's group, unless `ownGroup`, so that Ctrl-C in a
 * terminal ends both, and it is ended when `signal` is aborted or this process exits.
 * @throws UserError that says why it failed, where its log is, and what to do
 */
export async function runTool(call: ToolCall): Promise<string> {
  const { command, args, cwd, env, timeout, signal, logFile, ownGroup = false } = call;
  signal?.throwIfAborted();
  if (logFile !== undefined) mkdirSync(dirname(logFile), { recursive: true });
  const output = logFile === undefined ? ["pipe" as const] : ["pipe" as const, { file: logFile }];
  const child = execa(command, args, {
    cwd,
    env,
    timeout,
    stdin: "ignore",
    stdout: output,
    stderr: output,
    all: true,
    lines: true,
    reject: false,
    detached: ownGroup,
    cancelSignal: ownGroup ? undefined : signal,
    forceKillAfterDelay: 10_000, // a compiler takes a while to end
  });
  const endGroup = () => {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGTERM");
  };
  if (ownGroup) signal?.addEventListener("abort", endGroup);
  for await (const line of child.iterable({ from: "all" }))
    if (line.trim() !== "") call.progress?.(line.trim());
  const result = await child;
  signal?.removeEventListener("abort", endGroup);
  signal?.throwIfAborted();
  if (!result.failed) return result.stdout.join("\n");

  const lines = result.all.filter((line) => line.trim() !== "");
  const remedy = typeof call.remedy === "function" ? call.remedy(lines) : call.remedy;
  const log = logFile === undefined ? undefined : `full output in ${logFile}`;
  throw new UserError({
    where: call.where,
    what: whyItFailed(call, result, lines),
    remedy: [remedy, log].filter((part) => part !== undefined).join("; ") || undefined,
  });
}

function whyItFailed(
  { command, timeout = 0, reason }: ToolCall,
  result: { code?: string; exitCode?: number; timedOut: boolean; originalMessage?: string },
  lines: readonly string[],
): string {
  if (result.code === "ENOENT") return `${command} is not installed`;
  if (result.exitCode !== undefined && reason !== undefined) return reason(lines);
  const end = result.timedOut
    ? `no end after ${String(Math.round(timeout / 1000))} s`
    : result.exitCode === undefined
      ? (result.originalMessage ?? "killed")
      : `exit ${String(result.exitCode)}`;
  return [`${command} failed (${end})`, ...lines.slice(-LINES_IN_ERROR)].join("\n  ");
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
