import { digestOf } from "./canonical.ts";

/** Everything that decides what a stage makes. */
export interface StageIdentity {
  stage: string;
  params: Record<string, unknown>;
  /** Digest of the code, see `readStageCode`. */
  code: string;
  /** Versions or digests of the pinned tools the stage uses. */
  tools: Record<string, string>;
  /** Keys of the upstream stages, by the name under which this stage knows them. */
  inputs: Record<string, string>;
}

/**
 * A stage's key: input-addressed as in Nix (Dolstra, "The Purely Functional Software Deployment Model", 2006, ch. 5),
 * so it is known before anything runs. The instance's name is left out: equal work has one key, whatever it is called.
 */
export function stageKey({ stage, params, code, tools, inputs }: StageIdentity): string {
  return digestOf({ stage, params, code, tools, inputs });
}
