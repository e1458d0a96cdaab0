import type { Recipe } from "../recipe/recipe.ts";

/** One instance of a stage in a recipe's chain, before keys are known. */
export interface StageNode {
  /** Unique in the plan, and the resource's name: `convert-base`. */
  name: string;
  /** The stage it is an instance of: `convert`. */
  stage: string;
  params: Record<string, unknown>;
  /** Upstream instances by the name under which the stage knows them. */
  inputs: Record<string, string>;
}

/** Which measurements of the way from the base to the release a report sets side by side, in that order. */
export const evaluations = [
  "evaluate-base",
  "evaluate-pruned",
  "evaluate-recovered",
  "evaluate-control",
  "evaluate",
] as const;

/**
 * Lays out a recipe's stages in an order in which each comes after its inputs. Steps that the recipe leaves out are
 * skipped, and what would have used their result uses what came before them.
 */
export function stageGraph(recipe: Recipe): StageNode[] {
  const { steps } = recipe;
  const nodes: StageNode[] = [];
  const add = (name: string, stage: string, params: object, inputs: Record<string, string>): string => {
    nodes.push({ name, stage, params: params as Record<string, unknown>, inputs });
    return name;
  };
  const measure = (name: string, model: string): string =>
    add(name, "evaluate", { ...steps.evaluate, golden: recipe.golden }, { model, texts });

  const base = add("fetch", "fetch", { source: recipe.base.source }, {});
  const texts = add("fetch-text", "fetch-text", recipe.texts, {});
  let model = base;

  if (steps.prune ?? steps.recover)
    measure("evaluate-base", add("convert-base", "convert", steps.convert, { model: base }));
  if (steps.prune) model = add("prune", "prune", steps.prune, { model, texts });
  if (steps.recover) {
    if (steps.prune) measure("evaluate-pruned", add("convert-pruned", "convert", steps.convert, { model }));
    const { control, ...training } = steps.recover;
    model = add("recover", "recover", training, { model, teacher: base, texts });
    // What the same training does for the unpruned model is not recovery: it belongs beside every recovery.
    if (control === true) {
      const trained = add("recover-control", "recover", training, { model: base, teacher: base, texts });
      measure("evaluate-control", add("convert-control", "convert", steps.convert, { model: trained }));
    }
  }
  if (steps.awq) model = add("awq", "awq", steps.awq, { model, texts });
  const full = add("convert", "convert", steps.convert, { model });
  measure(steps.recover ? "evaluate-recovered" : steps.prune ? "evaluate-pruned" : "evaluate-base", full);

  const imatrix = steps.imatrix && add("imatrix", "imatrix", steps.imatrix, { model: full, texts });
  const quantized = add("quantize", "quantize", steps.quantize, { model: full, ...(imatrix && { imatrix }) });
  measure("evaluate", quantized);
  return nodes;
}
