import { quote } from "../common/shell.ts";
import { environment } from "./environment.ts";
import { bootstrapOnce, selectedStackIfAny } from "./stack.ts";

/**
 * `./pipress env`: prints `export` lines for `eval`, after which plain `pulumi` works in that shell. The passphrase among
 * them is that of the stack named, else of the selected one.
 */
export async function env({ stack }: { stack?: string }): Promise<number> {
  await bootstrapOnce();
  const chosen = stack ?? (await selectedStackIfAny());
  const variables = { ...environment(chosen), ...(stack !== undefined && { PULUMI_STACK: stack }) };
  for (const [name, value] of Object.entries(variables)) console.log(exportLine(name, value));
  return 0;
}

/** A line that any POSIX shell reads back as exactly this value. */
export function exportLine(name: string, value: string): string {
  return `export ${name}=${quote(value)}`;
}
