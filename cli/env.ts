import { quote } from "../common/shell.ts";
import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { environment } from "./environment.ts";

/** `./pipress env`: prints `export` lines for `eval`, after which plain `pulumi` works in that shell. */
export async function env({ stack }: { stack?: string }): Promise<number> {
  await bootstrap();
  const variables = { ...environment(), ...(stack !== undefined && { PULUMI_STACK: stack }) };
  for (const [name, value] of Object.entries(variables)) console.log(exportLine(name, value));
  return 0;
}

/** A line that any POSIX shell reads back as exactly this value. */
export function exportLine(name: string, value: string): string {
  return `export ${name}=${quote(value)}`;
}
