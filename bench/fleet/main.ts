import { benchFleet } from "./index.ts";
import { bootstrap } from "../../toolchain/bootstrap/index.ts";

/** `npm run bench:fleet -- ARGS`. */
export async function main(args: string[]): Promise<number> {
  await bootstrap({ purpose: "test" });
  return benchFleet(args);
}
