import { parseArgs } from "node:util";
import { UserError } from "../infra/errors/user-error.ts";
import { planStages } from "../infra/plan/plan.ts";
import { loadRecipe } from "../infra/recipe/recipe.ts";
import { openStore } from "../infra/store/open-store.ts";
import { readToolchain } from "../infra/toolchain.ts";
import { bootstrap } from "./bootstrap/index.ts";
import { runJobs } from "./builder-jobs.ts";
import { DEFAULT_STACK, readStackConfig } from "./stack.ts";

/** `npm run logs -- STAGE [--stack NAME]`: a stage's log, followed while its job is at work, wherever that is. */
export async function main(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: { stack: { type: "string", default: DEFAULT_STACK } },
    allowPositionals: true,
  });
  const config = readStackConfig(values.stack);
  await bootstrap();
  const stages = await planStages(loadRecipe(config.recipe), await openStore(config.store), readToolchain());
  const stage = stages.find(({ name }) => positionals.length === 1 && name === positionals[0]);
  if (stage === undefined)
    throw new UserError({
      where: "logs",
      what: positionals.length === 1 ? `the recipe has no stage "${positionals[0] ?? ""}"` : "name one stage",
      remedy: `one of: ${stages.map(({ name }) => name).join(", ")}`,
    });
  return (await runJobs(config, ["logs", "--follow", stage.key], true)).code;
}
