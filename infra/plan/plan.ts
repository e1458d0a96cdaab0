import type { Toolchain } from "../../toolchain/toolchain.ts";
import type { Model } from "../model/model.ts";
import { readStageCode } from "../stage/code.ts";
import type { StageNode } from "../stage/node.ts";
import { stageKey } from "../stage/key.ts";
import type { PlannedStage } from "../stage/planned.ts";
import { selectPins, toolPins } from "../stage/tools.ts";
import type { Store } from "../store/store.ts";
import { modelGraph, releaseStage, upstreamOf, type GraphOptions } from "./graph.ts";

/** Every stage of a model with its key, in an order in which each comes after its inputs. Runs nothing. */
export async function planStages(
  model: Model,
  options: GraphOptions,
  store: Store,
  toolchain: Toolchain,
): Promise<PlannedStage[]> {
  const pins = toolPins(toolchain);
  const keys = new Map<string, string>();
  const planned = modelGraph(model, options).map((node) => {
    const code = readStageCode(node.stage);
    const { moreTools = [], ...rest } = node;
    const toolVersions = selectPins(pins, [...code.tools, ...moreTools]);
    const inputKeys = Object.fromEntries(
      Object.entries(node.inputs).map(([alias, name]) => [
        alias,
        keys.get(name) ?? unreachable(node.name, name),
      ]),
    );
    const key = stageKey({ ...node, code: code.digest, tools: toolVersions, inputs: inputKeys });
    keys.set(node.name, key);
    return { ...rest, key, inputKeys, toolVersions };
  });
  const needed = upstreamOf(planned, releaseStage(planned));
  const isNeeded = ({ name, stage }: StageNode): boolean => needed.has(name) || stage === "system-prompt";
  return Promise.all(
    planned.map(async (stage) => ({
      ...stage,
      forRelease: isNeeded(stage),
      artifact: await store.manifest(stage.key),
    })),
  );
}

function unreachable(name: string, input: string): never {
  throw new Error(`stage "${name}" comes before its input "${input}"`);
}
