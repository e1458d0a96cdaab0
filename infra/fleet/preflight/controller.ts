/** What this machine and the builder machine have, beside what the stages of a plan will need. */
import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { dataDir } from "../../../common/paths.ts";
import { formatBytes } from "../../../common/units.ts";
import { builderMachine } from "../../builder/ssh/machine.ts";
import { listMissing } from "../../builder/ssh/remote.ts";
import type { SshBuilderConfig } from "../../config/schema.ts";
import type { StageCost } from "../../prediction/stage-costs.ts";
import { Session } from "../../ssh/session.ts";
import type { PlannedStage } from "../../stage/planned.ts";
import type { Finding } from "./finding.ts";

/** As `status` calls it. */
export const thisMachine = "this machine";

/** What a machine has, in bytes. */
export interface Room {
  memory: number;
  disk: number;
  isWritable: boolean;
}

/** What this machine has for the stages that it runs. @param store URL of the store; where that is a folder, its disk counts */
export function roomHere(store: string): Room {
  const folder = nearestFolder(store.startsWith("file:") ? fileURLToPath(store) : dataDir());
  const { bavail, bsize } = statfsSync(folder);
  return { memory: totalmem(), disk: bavail * bsize, isWritable: mayWrite(folder) };
}

/** The folder, or the one above it in which it will be made. */
function nearestFolder(path: string): string {
  return existsSync(path) ? path : nearestFolder(dirname(path));
}

function mayWrite(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * What keeps the missing stages of a plan from running here.
 * @param costs predicted, by stage; empty where nothing can be predicted yet
 */
export function judgeRoom(
  plan: readonly Pick<PlannedStage, "name" | "stage" | "artifact">[],
  costs: ReadonlyMap<string, StageCost>,
  { memory, disk, isWritable }: Room,
  store: string,
): Finding[] {
  const missing = plan.filter(({ artifact }) => artifact === undefined);
  const bytes = missing.reduce((sum, { name }) => sum + (costs.get(name)?.bytes ?? 0), 0);
  const findings: Finding[] = [];
  const find = (level: Finding["level"], what: string, remedy?: string): void => {
    findings.push({ level, where: thisMachine, what, ...(remedy !== undefined && { remedy }) });
  };
  if (!isWritable)
    find(
      "error",
      `the store ${store} cannot be written`,
      "let this user write there, or name another `store`",
    );
  if (bytes > disk)
    find(
      "error",
      `${formatBytes(disk)} of disk are free for ${store}, but the missing stages make ${formatBytes(bytes)}`,
      "free some space (`./pipress store gc` lists what nothing uses), or name another `store`",
    );
  // The teacher first, the student then: one whole model at a time.
  const weights = missing.some(({ stage }) => stage === "recover") ? (costs.get("fetch")?.bytes ?? 0) : 0;
  if (weights > memory)
    find(
      "warning",
      `recover keeps a whole model in memory, ${formatBytes(weights)}, and there are ${formatBytes(memory)}`,
      "run the stages elsewhere (`builder`), or leave `recover` out of the recipe",
    );
  const cores = availableParallelism();
  find(
    "note",
    `${cores} ${cores === 1 ? "core" : "cores"}, ${formatBytes(memory)} of memory, ${formatBytes(disk)} of disk free; ` +
      (missing.length === 0
        ? "all stages are in the store"
        : `${missing.length} of ${plan.length} stages will run`),
  );
  return findings;
}

/** Whether the builder machine answers and has what stages need. */
export async function lookAtBuilder(config: SshBuilderConfig, signal: AbortSignal): Promise<Finding[]> {
  const machine = builderMachine(config);
  const where = machine.name;
  const ending = await Session.use(machine, (session) =>
    session.run(listMissing(), "", { signal, quiet: true }),
  );
  if (ending.kind === "lost")
    return ending.failure.problems.map((problem) => ({ level: "error", ...problem }));
  const missing = ending.stdout.split("\n").filter((line) => line !== "");
  if (missing.length === 0)
    return [{ level: "note", where, what: `${config.address} answers and has what stages need` }];
  return [
    {
      level: "error",
      where,
      what: `${config.address} lacks ${missing.join(", ")}`,
      remedy:
        "on Debian or Ubuntu run there: sudo apt-get install -y --no-install-recommends python3 cmake ninja-build g++",
    },
  ];
}
