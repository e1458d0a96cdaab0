import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { runPulumi } from "./run-pulumi.ts";

/** `npm run pulumi -- ARGS`: `pulumi ARGS` with the engine, backend and environment that bootstrap set up. */
export async function main(args: string[]): Promise<number> {
  await bootstrap();
  return runPulumi(args);
}
