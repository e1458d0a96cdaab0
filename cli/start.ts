import { formatSummary, type FleetOutputs } from "../infra/fleet/table.ts";
import { bootstrap } from "../toolchain/bootstrap/index.ts";
import { awaitHosts } from "./await-hosts.ts";
import { runPulumi, stackOutputs } from "./run-pulumi.ts";

const STACK = "dev";

/** `npm start`: toolchain, then the dev stack, then a table of what came out. */
export async function main(): Promise<number> {
  await bootstrap();
  for (const args of [
    ["stack", "select", "--create", STACK],
    ["up", "--yes", "--skip-preview", "--stack", STACK],
  ]) {
    const code = await runPulumi(args, STACK);
    if (code !== 0) return code;
  }
  const outputs = await stackOutputs<FleetOutputs>(STACK, "--show-secrets");
  await awaitHosts(outputs);
  console.log(`\n${formatSummary(outputs)}`);
  return 0;
}
