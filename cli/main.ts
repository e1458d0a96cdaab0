import { CommanderError } from "commander";
import { buildProgram } from "./program.ts";

/** The exit status of a command line that names no verb or option of ours. */
const USAGE_ERROR = 2;

/** `./pipress VERB`: reads the command line and runs the verb. */
export async function main(args: string[]): Promise<number> {
  let exitCode = 0;
  const program = buildProgram((code) => (exitCode = code));
  try {
    await program.parseAsync(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    return error.exitCode === 0 ? 0 : USAGE_ERROR; // 0: help that was asked for
  }
  return exitCode;
}
