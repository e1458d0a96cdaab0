import type { Manifest } from "../store/manifest.ts";
import type { StageNode } from "./node.ts";

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
