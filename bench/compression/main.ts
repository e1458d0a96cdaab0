import { benchCompression } from "./index.ts";
import { parseOptions } from "./options.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";

/** `npm run bench:compression -- ARGS`. */
export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args, (line) => {
    console.error(`bench:compression: ${line}`);
  });
  await bootstrap({ purpose: "compare" });
  return benchCompression(options);
}
