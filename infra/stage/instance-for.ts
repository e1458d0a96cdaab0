import type { PlannedStage } from "./planned.ts";

/** The EC2 instances that a stack may have. */
export const instanceNames = ["gpu", "build"] as const;
export type InstanceName = (typeof instanceNames)[number];

const onGpu = new Set(["add-chats", "prune", "recover", "awq"]);
/** Next to nothing to do: not worth an instance. */
const onThisMachine = new Set(["fetch-dataset", "fetch-gguf", "report"]);

/** What of a stage decides where it runs. */
export type PlacedStage = Pick<PlannedStage, "stage" | "params">;

/** The instance that runs a stage; undefined for one that runs on this machine, as does what begins with a folder of it. */
export function instanceFor({ stage, params }: PlacedStage): InstanceName | undefined {
  if (onThisMachine.has(stage)) return undefined;
  const { source, adapter } = params as { source?: { local?: unknown }; adapter?: { local?: unknown } };
  if (stage === "fetch" && (source?.local ?? adapter?.local) !== undefined) return undefined;
  return onGpu.has(stage) ? "gpu" : "build";
}

/** The instances that a plan's missing stages need; a stage whose artifact is in the store needs none. */
export function instancesNeeded(
  plan: readonly (PlacedStage & Pick<PlannedStage, "artifact">)[],
): ReadonlySet<InstanceName> {
  const missing = plan.filter(({ artifact }) => artifact === undefined);
  return new Set(missing.flatMap((stage) => instanceFor(stage) ?? []));
}
