import type { Manifest } from "../store/manifest.ts";
import { readStageCode } from "../stage/code.ts";
import { stageKey } from "../stage/key.ts";
import { selectPins, toolPins } from "../stage/tools.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { Store } from "../store/store.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";
import { equalSpeedType } from "../prediction/equal-speed.ts";
import type { StageCost } from "../prediction/stage-costs.ts";
import { stageGraph, upstreamOf, type StageNode } from "./graph.ts";

/** A stage of the plan: its key, and what the store already holds under it. */
export interface PlannedStage extends StageNode {
  key: string;
  /** Keys of the inputs, by the name under which the stage knows them. */
  inputKeys: Record<string, string>;
  toolVersions: Record<string, string>;
  /** Whether what the hosts get is made from it; the others measure. */
  forRelease: boolean;
  /** The manifest in the store; undefined when the stage has to run. */
  artifact: Manifest | undefined;
}

/** Every stage of a recipe with its key, in an order in which each comes after its inputs. Runs nothing. */
export async function planStages(
  recipe: Recipe,
  store: Store,
  toolchain: Toolchain,
): Promise<PlannedStage[]> {
  const pins = toolPins(toolchain);
  const keys = new Map<string, string>();
  const planned = stageGraph(recipe, { equalSpeedType: equalSpeedType(recipe, stageGraph(recipe)) }).map(
    (node) => {
      const code = readStageCode(node.stage);
      const toolVersions = selectPins(pins, code.tools);
      const inputKeys = Object.fromEntries(
        Object.entries(node.inputs).map(([as, name]) => [as, keys.get(name) ?? unreachable(node.name, name)]),
      );
      const key = stageKey({ ...node, code: code.digest, tools: toolVersions, inputs: inputKeys });
      keys.set(node.name, key);
      return { ...node, key, inputKeys, toolVersions };
    },
  );
  const needed = upstreamOf(planned, "quantize");
  return Promise.all(
    planned.map(async (stage) => ({
      ...stage,
      forRelease: needed.has(stage.name),
      artifact: await store.manifest(stage.key),
    })),
  );
}

function unreachable(name: string, input: string): never {
  throw new Error(`stage "${name}" comes before its input "${input}"`);
}

/**
 * A plan as the lines that `preview` shows: what is in the store, what will run, and about how long and large that is.
 * @param costs predicted, by stage; empty where nothing can be predicted yet
 */
export function describePlan(
  stages: readonly PlannedStage[],
  costs: ReadonlyMap<string, StageCost> = new Map(),
): string {
  const width = Math.max(...stages.map(({ name }) => name.length));
  const lines = stages.map(({ name, key, artifact }) => {
    const cost = costs.get(name);
    const about = cost && artifact === undefined ? `  about ${describeCost(cost)}` : "";
    return `  ${name.padEnd(width)}  ${key.slice(0, 12)}  ${artifact === undefined ? "will run" : "in the store"}${about}`;
  });
  const missing = stages.filter(({ artifact }) => artifact === undefined);
  const head =
    missing.length === 0
      ? `all ${stages.length} stages are in the store`
      : `${missing.length} of ${stages.length} stages will run`;
  const total = missing.flatMap(({ name }) => costs.get(name) ?? []);
  const sum: StageCost = {
    seconds: total.reduce((seconds, cost) => seconds + cost.seconds, 0),
    bytes: total.reduce((bytes, cost) => bytes + cost.bytes, 0),
  };
  return [total.length > 0 ? `${head}, about ${describeCost(sum)} in all` : head, ...lines].join("\n");
}

function describeCost({ seconds, bytes }: StageCost): string {
  return `${formatDuration(seconds)}${bytes > 0 ? `, ${formatBytes(bytes)}` : ""}`;
}
