import { cacheDir } from "../../common/paths.ts";
import { bootstrap } from "./index.ts";

/** `npm run bootstrap`: only puts the toolchain in place. `--test` adds linters and pytest. */
export async function main(args: string[]): Promise<number> {
  await bootstrap({ purpose: args.includes("--test") ? "test" : "run" });
  console.error(`bootstrap: everything is in place in ${cacheDir()}`);
  return 0;
}
