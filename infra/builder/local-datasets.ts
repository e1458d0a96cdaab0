import { existsSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { repoRoot } from "../../common/paths.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import { describeModel, isRecipe, type Model } from "../model/model.ts";
import type { PlannedStage } from "../stage/planned.ts";

/** A recipe and its stages. */
interface Planned {
  model: Model;
  plan: readonly Pick<PlannedStage, "stage" | "artifact">[];
}

/**
 * Looks at data sets that are files of this machine, where it is the builder that reads them: is each the one that its
 * recipe means, and does it hold conversations? A file that has been read already may be gone, but not be another.
 * @throws UserError with every problem of every file
 */
export async function checkLocalDatasets(planned: readonly Planned[], python: string): Promise<void> {
  const datasets = planned.flatMap(localDatasets);
  if (datasets.length === 0) return;
  const { stdout } = await execa(python, ["-m", "pipress", "datasets", "check"], {
    env: { PYTHONPATH: join(repoRoot, "models") },
    input: JSON.stringify(datasets),
  });
  const problems = JSON.parse(stdout) as Problem[];
  if (problems.length > 0) throw new UserError(problems);
}

function localDatasets({ model, plan }: Planned) {
  if (!isRecipe(model)) return [];
  const isRead = plan.some(({ stage, artifact }) => stage === "fetch-dataset" && artifact !== undefined);
  return (["calibration", "evaluation"] as const).flatMap((use) =>
    model.datasets[use].flatMap((dataset, index) => {
      if (dataset.local === undefined || (isRead && !existsSync(dataset.local.path))) return [];
      return [{ use, dataset, where: `${describeModel(model)}: datasets.${use}.${index}` }];
    }),
  );
}
