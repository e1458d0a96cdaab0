import type { JobSpec } from "./job-spec.generated.ts";

/** The stages there are; `models/pipress/stages` has a module for each. */
export type StageName = JobSpec["stage"];

/** One instance of a stage in a recipe's chain, before keys are known. */
export interface StageNode {
  /** Unique in the plan, and the resource's name: `convert-base`. */
  name: string;
  /** The stage it is an instance of: `convert`. */
  stage: StageName;
  params: Record<string, unknown>;
  /** Upstream instances by the name under which the stage knows them. */
  inputs: Record<string, string>;
  /** Pinned tools that it uses besides those that its stage always does. */
  moreTools?: readonly string[];
  /** Parts of the recipe that its result is to go through, by their path there. No part of the key. */
  neededFor?: readonly string[];
}
