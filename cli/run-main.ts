import { UserError } from "../common/user-error.ts";

/** What every module that `run.mjs` loads exports: runs with its arguments, resolves with the exit code. */
type Main = (args: string[]) => Promise<number>;

/** Runs it: its number becomes the exit code, a user's own mistake is printed without a stack trace. */
export async function runMain(main: Main, args: string[]): Promise<void> {
  try {
    process.exitCode = await main(args);
  } catch (error) {
    process.exitCode = 1;
    if (!(error instanceof UserError)) throw error;
    for (const line of error.message.split("\n")) console.error(line);
  }
}
