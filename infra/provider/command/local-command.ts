import { randomBytes } from "node:crypto";
import { execa, type Result, type ResultPromise } from "execa";
import { UserError } from "../../../common/user-error.ts";
import { checkAgainst } from "../../plugin/check-against.ts";
import { diffProps } from "../../plugin/detailed-diff.ts";
import type { Call, Props, ResourceHandler, ResourceLog } from "../../plugin/handler.ts";
import { unknown } from "../../plugin/values.ts";
import { LineSplitter } from "./line-splitter.ts";
import { inputs as schema, type CommandInputs } from "./schema.ts";

/** What a run has written, each without its last newline. */
interface Output {
  stdout: string;
  stderr: string;
}

/** How long a command may take to end by itself after SIGTERM. The engine kills this provider after five seconds. */
const graceMilliseconds = 3000;

/**
 * `command:local:Command`: commands that run on this machine when the resource is created, changed and deleted. Without
 * one for the occasion nothing runs and the outputs stay as they were; a change without `update` runs `create` again.
 */
export const localCommand: ResourceHandler = {
  check: (inputs) => checkAgainst(schema, inputs),
  diff: ({ inputs }, news) => ({ changes: diffProps(inputs, news, ["triggers"]) }),
  previewCreate: (inputs) => ({ ...inputs, stdout: unknown, stderr: unknown }),
  previewUpdate: (_existing, inputs) => ({ ...inputs, stdout: unknown, stderr: unknown }),
  create: async (inputs, call) => {
    const output = await run(["create"], inputs, {}, call);
    return { id: call.name + randomBytes(4).toString("hex"), state: { ...inputs, ...output } };
  },
  update: async ({ state }, inputs, call) => ({
    ...inputs,
    ...(await run(["update", "create"], inputs, state, call)),
  }),
  delete: async ({ state }, call) => {
    await run(["delete"], state, state, call);
  },
};

/**
 * Runs the first command that is given for the occasion to its end, showing its lines as they come.
 *
 * @param props what `check` let through
 * @param state with what the last run wrote, for the command's environment; that is returned where there is no command
 * @throws UserError with the exit status, the command and what it wrote, where it fails or cannot start
 */
async function run(
  occasions: readonly ("create" | "update" | "delete")[],
  props: Props,
  state: Props,
  { name, log, signal }: Call,
): Promise<Output> {
  const inputs = props as CommandInputs;
  const { stdout = "", stderr = "" } = state as Partial<Output>;
  const command = occasions.map((occasion) => inputs[occasion]).find((given) => typeof given === "string");
  if (command === undefined) return { stdout, stderr };
  signal.throwIfAborted();
  const [program = "/bin/sh", ...args] = inputs.interpreter?.length ? inputs.interpreter : ["/bin/sh", "-c"];
  const child = execa(program, [...args, command], {
    cwd: inputs.dir,
    env: { ...inputs.environment, ...previousOutput(inputs, { stdout, stderr }) },
    // Without input the command reads /dev/null, never the pipe that the engine holds.
    ...(inputs.stdin ? { input: inputs.stdin } : { stdin: "ignore" }),
    all: true,
    // In a process group of its own, so that a cancelled `sh -c` takes its children along.
    detached: true,
    reject: false,
    maxBuffer: Infinity,
  });
  show(child, inputs.logging, log);
  const stop = endOnAbort(child, signal);
  const result = await child;
  stop();
  if (!result.failed) return { stdout: result.stdout, stderr: result.stderr };
  const what = `${describeEnd(result)}: running ${JSON.stringify(command)}`;
  throw new UserError({
    where: name,
    what: result.all ? `${what}:\n${result.all}` : what,
    remedy: result.code === "E2BIG" ? "addPreviousOutputInEnv: false leaves the last output out" : undefined,
  });
}

/** What the last run left for the next one; an empty output sets nothing. */
function previousOutput(
  { addPreviousOutputInEnv = true }: CommandInputs,
  { stdout, stderr }: Output,
): object {
  if (!addPreviousOutputInEnv) return {};
  return {
    ...(stdout !== "" && { PULUMI_COMMAND_STDOUT: stdout }),
    ...(stderr !== "" && { PULUMI_COMMAND_STDERR: stderr }),
  };
}

function show(child: ResultPromise, logging: CommandInputs["logging"], log: ResourceLog): void {
  for (const name of ["stdout", "stderr"] as const) {
    if (logging !== undefined && logging !== "stdoutAndStderr" && logging !== name) continue;
    const lines = new LineSplitter(log.status);
    child[name]?.on("data", (bytes: Buffer) => {
      lines.write(bytes);
    });
    child[name]?.once("end", () => {
      lines.end();
    });
  }
}

/** On abort: SIGTERM to the command's process group, then SIGKILL. (The vendor's plugin kills its first process alone.) */
function endOnAbort(child: ResultPromise, signal: AbortSignal): () => void {
  let timer: NodeJS.Timeout | undefined;
  const end = (): void => {
    signalGroup(child, "SIGTERM");
    timer = setTimeout(() => {
      signalGroup(child, "SIGKILL");
      // Who left the group may still hold the pipes; nobody waits for them any longer.
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, graceMilliseconds);
  };
  signal.addEventListener("abort", end, { once: true });
  return () => {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
  };
}

function signalGroup({ pid }: ResultPromise, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Already gone.
  }
}

function describeEnd({ exitCode, signal, originalMessage }: Result): string {
  if (exitCode !== undefined) return `exit status ${exitCode}`;
  if (signal !== undefined) return `ended by ${signal}`;
  return `cannot start (${originalMessage?.split("\n", 1)[0]})`;
}
