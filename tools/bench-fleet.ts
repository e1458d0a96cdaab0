import { benchFleet } from "../bench/fleet.ts";
import { bootstrap } from "./bootstrap/index.ts";

/** `npm run bench:fleet -- ARGS`. */
export async function main(args: string[]): Promise<number> {
  await bootstrap({ purpose: "test" });
  return benchFleet(args);
}
