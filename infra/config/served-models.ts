import { isDeepStrictEqual } from "node:util";
import { UserError, type Problem } from "../../common/user-error.ts";
import { isRecipe, loadModel, type Model } from "../model/model.ts";
import type { StackConfig } from "./schema.ts";

/** A model that a stack serves, and by whose hosts. */
export interface ServedModel {
  model: Model;
  /** The group whose own it is; undefined of the stack's. */
  group?: string;
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
  const served: ServedModel[] = [
    {
      model: loadModel(config),
      prefix: "",
      isServedBy: ({ group }) => group === undefined || !own.has(group),
    },
    ...groups.map(([name, named]) => ({
      model: loadModel(named, `pipress:groups.${name}.`),
      group: name,
      prefix: `${name}-`,
      isServedBy: ({ group }: { group?: string | undefined }) => group === name,
    })),
  ];
  checkNames(served);
  return served;
}

/** A request names its model: two of one name could not be told apart. @throws UserError with every such one */
function checkNames(served: readonly ServedModel[]): void {
  const problems = served.flatMap(({ model, group = "" }, index): Problem[] => {
    const other = served.slice(0, index).find((before) => before.model.name === model.name);
    if (other === undefined || isDeepStrictEqual(other.model, model)) return [];
    const where = `pipress:groups.${group}.${isRecipe(model) ? "recipe" : "model"}`;
    const what = `is called "${model.name}", as another model of this stack is`;
    return [{ where, what, remedy: "give one of them another `name`" }];
  });
  if (problems.length > 0) throw new UserError(problems);
}

/** The one of a stack's models that a host serves. */
export function servedBy<Served extends ServedModel>(
  models: readonly Served[],
  host: { group?: string | undefined },
): Served {
  const served = models.find(({ isServedBy }) => isServedBy(host));
  if (served === undefined) throw new Error("a host serves no model");
  return served;
}

export function modelOf(models: readonly ServedModel[], host: { group?: string | undefined }): Model {
  return servedBy(models, host).model;
}
