import { createInterface } from "node:readline/promises";

/** Asks a question at the terminal; whatever is not a yes, Ctrl-C too, is a no. */
export async function isAgreed(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const asked = new AbortController();
  terminal.once("SIGINT", () => {
    asked.abort();
  });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `, { signal: asked.signal })).trim());
  } catch (error) {
    if ((error as Error).name !== "AbortError") throw error;
    process.stderr.write("\n");
    return false;
  } finally {
    terminal.close();
  }
}
