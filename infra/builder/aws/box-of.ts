import type { PlannedStage } from "../../plan/plan.ts";

/** The boxes that a stack may have on AWS. */
export const boxNames = ["gpu", "build"] as const;
export type BoxName = (typeof boxNames)[number];

const onGpu = new Set(["prune", "recover", "awq"]);
/** Next to nothing to do: not worth a box. */
const onThisMachine = new Set(["fetch-dataset", "report"]);

/** What of a stage decides where it runs. */
export type PlacedStage = Pick<PlannedStage, "stage" | "params">;

/** The box that runs a stage; undefined for one that runs on this machine, as does what begins with a folder of it. */
export function boxOf({ stage, params }: PlacedStage): BoxName | undefined {
  if (onThisMachine.has(stage)) return undefined;
  const { source } = params as { source?: { local?: unknown } };
  if (stage === "fetch" && source?.local !== undefined) return undefined;
  return onGpu.has(stage) ? "gpu" : "build";
}

/** The boxes that a plan's missing stages need; a stage whose artifact is in the store needs none. */
export function boxesNeeded(
  plan: readonly (PlacedStage & Pick<PlannedStage, "artifact">)[],
): ReadonlySet<BoxName> {
  const missing = plan.filter(({ artifact }) => artifact === undefined);
  return new Set(missing.flatMap((stage) => boxOf(stage) ?? []));
}
