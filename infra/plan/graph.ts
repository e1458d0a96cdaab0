import { isRecipe, type Model } from "../model/model.ts";
import type { ReadyModel } from "../model/ready-model.ts";
import { neededFor } from "../recipe/layouts.ts";
import type { Recipe } from "../recipe/recipe.ts";
import type { StageName, StageNode } from "../stage/node.ts";

/** Which measurements of the way from the base to the release a report sets side by side, in that order. */
export const evaluations = [
  "evaluate-base",
  "evaluate-pruned",
  "evaluate-recovered",
  "evaluate-control",
  "evaluate-ordinary",
  "evaluate",
] as const;

/** Measurements of the unpruned model at the result's size, and at its predicted speed. */
export const baselineEvaluations = ["evaluate-baseline", "evaluate-baseline-speed"] as const;

/** What a graph has beyond its recipe: what `infra/prediction/forecast.ts` finds, or nothing. */
export interface GraphOptions {
  /** Type of llama-quantize under which the unpruned model should be as fast as the result: one more baseline. */
  equalSpeedType?: string | undefined;
  /** Parameters of the stage `report` but for the recipe's name; `$defs.report` of recipe.schema.json. */
  reportParams?: Record<string, unknown>;
  /** System prompts that the release's model reads: name of the stage, and its parameters. */
  systemPrompts?: readonly { name: string; params: Record<string, unknown> }[];
}

/** Name of the stage whose `model.gguf` the hosts get. */
export function releaseStage(nodes: readonly Pick<StageNode, "name">[]): "quantize" | "fetch" {
  return nodes.some(({ name }) => name === "quantize") ? "quantize" : "fetch";
}

/** Lays out the stages of whatever a stack serves. */
export function modelGraph(model: Model, options: GraphOptions = {}): StageNode[] {
  return isRecipe(model) ? stageGraph(model, options) : readyGraph(model, options);
}

/** A model that is ready is fetched; then it reads what the hosts' settings ask. */
function readyGraph(
  { source, smokeTest, pooling }: ReadyModel,
  { systemPrompts }: GraphOptions,
): StageNode[] {
  const fetched: StageNode = {
    name: "fetch",
    stage: "fetch-gguf",
    params: { source, smokeTest, ...(pooling && { pooling }) },
    inputs: {},
  };
  return [fetched, ...systemPromptNodes(systemPrompts, "fetch")];
}

/**
 * Lays out a recipe's stages in an order in which each comes after its inputs. Steps that the recipe leaves out are
 * skipped, and what would have used their result uses what came before them. Then comes the report on them all, and what
 * the hosts' settings ask of the release's model.
 */
export function stageGraph(recipe: Recipe, options: GraphOptions = {}): StageNode[] {
  const nodes = measuredStages(recipe, options);
  const params = { recipe: recipe.name, predicted: {}, ...options.reportParams };
  const inputs = Object.fromEntries(nodes.map(({ name }) => [name, name]));
  const report: StageNode = { name: "report", stage: "report", params, inputs };
  return [...nodes, report, ...systemPromptNodes(options.systemPrompts, "quantize")];
}

function systemPromptNodes(prompts: GraphOptions["systemPrompts"] = [], model: string): StageNode[] {
  return prompts.map(({ name, params }) => ({ name, stage: "system-prompt", params, inputs: { model } }));
}

function measuredStages(recipe: Recipe, { equalSpeedType }: GraphOptions): StageNode[] {
  const { steps } = recipe;
  const nodes: StageNode[] = [];
  const add = (
    name: string,
    stage: StageName,
    params: object,
    inputs: Record<string, string>,
    more: Pick<StageNode, "moreTools" | "neededFor"> = {},
  ): string => {
    nodes.push({ name, stage, params: params as Record<string, unknown>, inputs, ...more });
    return name;
  };
  // The base model's evaluation is the reference that every other is compared with.
  const measure = (name: string, model: string): string => {
    const inputs: Record<string, string> = { model, datasets };
    if (name !== "evaluate-base") inputs.reference = "evaluate-base";
    return add(name, "evaluate", { ...steps.evaluate, smokeTest: recipe.smokeTest }, inputs);
  };

  const base = add("fetch", "fetch", recipe.base, {}, { neededFor: neededFor(recipe) });
  const documents = add("fetch-dataset", "fetch-dataset", recipe.datasets, {});
  const datasets =
    recipe.chats.share > 0
      ? add("add-chats", "add-chats", recipe.chats, { model: base, datasets: documents })
      : documents;
  let model = base;

  const convert = (name: string, from: string): string =>
    add(name, "convert", steps.convert, { model: from });
  // As an input, where the recipe has the step; a model has one matrix, whoever asks for it first.
  const matrices = new Map<string, string>();
  const importance = (name: string, of: string): { imatrix?: string } => {
    if (steps.imatrix === undefined) return {};
    const imatrix = matrices.get(of) ?? add(name, "imatrix", steps.imatrix, { model: of, datasets });
    matrices.set(of, imatrix);
    return { imatrix };
  };

  const convertedBase = (steps.prune ?? steps.recover) ? convert("convert-base", base) : "convert";
  if (convertedBase !== "convert") measure("evaluate-base", convertedBase);
  if (steps.prune) model = add("prune", "prune", steps.prune, { model, datasets });
  /** What quantize goes by, where recovery was told already. */
  let known: { imatrix?: string } | undefined;
  if (steps.recover) {
    const converted = steps.prune ? convert("convert-pruned", model) : convertedBase;
    if (steps.prune) measure("evaluate-pruned", converted);
    const { control, quantizationAware, ...training } = steps.recover;
    const trained = { model, teacher: base, datasets };
    if (quantizationAware === true) {
      known = importance(steps.prune ? "imatrix-pruned" : "imatrix-base", converted);
      const params = { ...training, quantize: steps.quantize };
      // Ordinary recovery has no use for llama.cpp: a GPU instance need not compile it.
      const more = { moreTools: ["llama.cpp"] };
      model = add("recover", "recover", params, { ...trained, converted, ...known }, more);
      // Without it: the model before training or, as a control, after the same training, quantized the same.
      const ordinary =
        control === true
          ? convert("convert-ordinary", add("recover-ordinary", "recover", training, trained))
          : converted;
      const imatrix = importance("imatrix-ordinary", ordinary);
      const quantized = add("quantize-ordinary", "quantize", steps.quantize, { model: ordinary, ...imatrix });
      measure("evaluate-ordinary", quantized);
    } else {
      model = add("recover", "recover", training, trained);
      // What the same training does for the unpruned model is not recovery: it belongs beside every recovery.
      if (control === true)
        measure(
          "evaluate-control",
          convert(
            "convert-control",
            add("recover-control", "recover", training, { ...trained, model: base }),
          ),
        );
    }
  }
  if (steps.awq) model = add("awq", "awq", steps.awq, { model, datasets });
  const full = convert("convert", model);
  measure(steps.recover ? "evaluate-recovered" : steps.prune ? "evaluate-pruned" : "evaluate-base", full);

  const imatrix = known ?? importance("imatrix", full);
  const quantized = add("quantize", "quantize", steps.quantize, {
    model: full,
    ...imatrix,
    // The search for the best mix measures on calibration text.
    ...(steps.quantize.objective !== undefined && { datasets }),
  });
  measure("evaluate", quantized);

  const atEqualSize = recipe.baselines ?? steps.prune !== undefined;
  if (!atEqualSize && equalSpeedType === undefined) return nodes;
  const unpruned = { model: convertedBase, ...importance("imatrix-base", convertedBase) };
  if (atEqualSize)
    measure("evaluate-baseline", add("quantize-baseline", "baseline", {}, { ...unpruned, like: quantized }));
  if (equalSpeedType !== undefined)
    measure(
      "evaluate-baseline-speed",
      add("quantize-baseline-speed", "quantize", { type: equalSpeedType }, unpruned),
    );
  return nodes;
}

/** Names of a stage and of all that it is made from; `nodes` in an order in which each comes after its inputs. */
export function upstreamOf(nodes: readonly StageNode[], name: string): Set<string> {
  const names = new Set([name]);
  for (const node of [...nodes].reverse())
    if (names.has(node.name)) for (const input of Object.values(node.inputs)) names.add(input);
  return names;
}
