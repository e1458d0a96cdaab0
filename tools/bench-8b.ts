import { bench8b } from "../bench/8b/index.ts";
import { parseOptions } from "../bench/8b/options.ts";
import { bootstrap } from "./bootstrap/index.ts";

/** `npm run bench:8b -- ARGS`. */
export async function main(args: string[]): Promise<number> {
  const options = parseOptions(args);
  await bootstrap({ purpose: "emulate" });
  return bench8b(options);
}
