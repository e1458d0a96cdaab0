import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { environment } from "./environment.ts";

/** `npm run --silent env`: prints `export` lines for `eval`, after which plain `pulumi` works in that shell. */
export async function main(): Promise<number> {
  await bootstrap();
  for (const [name, value] of Object.entries(environment())) console.log(exportLine(name, value));
  return 0;
}

/** A line that any POSIX shell reads back as exactly this value. */
export function exportLine(name: string, value: string): string {
  return `export ${name}='${value.replaceAll("'", `'\\''`)}'`;
}
