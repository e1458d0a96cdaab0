import { loadModel, type Model } from "../model/model.ts";
import type { StackConfig } from "./schema.ts";

/** A model that a stack serves, and by whose hosts. */
export interface ServedModel {
  model: Model;
  /** What names of its resources begin with; empty for the stack's own. */
  prefix: string;
  /** Whether a host of that group, or of none, serves it. */
  isServedBy: (host: { group?: string | undefined }) => boolean;
}

/**
 * The stack's own model, and then those of groups, in the order in which they are written.
 * @throws UserError where there is no such recipe or model
 */
export function servedModels(config: Pick<StackConfig, "recipe" | "model" | "groups">): ServedModel[] {
  const groups = Object.entries(config.groups).filter(
    ([, { recipe, model }]) => (recipe ?? model) !== undefined,
  );
  const own = new Set(groups.map(([name]) => name));
  return [
    {
      model: loadModel(config),
      prefix: "",
      isServedBy: ({ group }) => group === undefined || !own.has(group),
    },
    ...groups.map(([name, named]) => ({
      model: loadModel(named, `pipress:groups.${name}.`),
      prefix: `${name}-`,
      isServedBy: ({ group }: { group?: string | undefined }) => group === name,
    })),
  ];
}

/** The model that a host serves. */
export function modelOf(models: readonly ServedModel[], host: { group?: string | undefined }): Model {
  const served = models.find(({ isServedBy }) => isServedBy(host));
  if (served === undefined) throw new Error("a host serves no model");
  return served.model;
}
