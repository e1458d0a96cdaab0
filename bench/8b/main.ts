import { bench8b } from "./index.ts";
import { parseOptions } from "./options.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";

/** `npm run bench:8b -- ARGS`. */
export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  await bootstrap({ purpose: "emulate" });
  return bench8b(options);
}
