import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Problem } from "../../common/user-error.ts";
import type { Recipe } from "./recipe.generated.ts";

/** What an architecture has that a Llama has not. */
interface Layout {
  /** Biases of q, k and v. */
  qkvBias?: boolean;
  /** Norms of queries and keys, whose weights all heads of a layer share. */
  qkNorm?: boolean;
}

/** Architectures whose layers are a Llama's but for biases and norms: models/pipress/weights/layouts.py has the same. */
const layouts: Readonly<Record<string, Layout>> = {
  LlamaForCausalLM: {},
  MistralForCausalLM: {},
  Qwen2ForCausalLM: { qkvBias: true },
  Qwen3ForCausalLM: { qkNorm: true },
};

/** Their names, as a sentence lists them. */
export const layoutNames = Object.keys(layouts).join(", ");

/** The layout of an architecture; of one that nobody has named, a Llama's. Undefined where it is another. */
export function layoutOf(architecture = "LlamaForCausalLM"): Layout | undefined {
  return layouts[architecture];
}

/** Whether llama.cpp takes an FFN width of every layer: its `deci` does, which knows biases and no norms of heads. */
export function takesWidths(architecture?: string): boolean {
  const layout = layoutOf(architecture);
  return layout !== undefined && layout.qkNorm !== true;
}

/** Paths of a recipe's parts that work on the layers of the base model, or have it write text in Transformers. */
export function neededFor({ steps: { prune, recover, awq }, chats, datasets }: Recipe): string[] {
  const { calibration, evaluation } = datasets;
  // Datasets that bring conversations of their own leave nothing to ask.
  const bringsChats = [calibration, evaluation].every((texts) =>
    texts.some(({ format }) => format === "chat"),
  );
  return [
    ...(prune ? ["steps.prune"] : []),
    ...(prune?.ffnWidths === "per-layer" ? ["steps.prune.ffnWidths"] : []),
    ...(recover ? ["steps.recover"] : []),
    ...(awq ? ["steps.awq"] : []),
    ...(chats.share > 0 && !bringsChats ? ["chats"] : []),
  ];
}

/** What a recipe says of its base's architecture, or the base itself, where it is a folder of this machine. */
export function architectureOf({ base: { config, source } }: Recipe): string | undefined {
  const named = config?.architectures?.[0];
  if (named !== undefined || source.local === undefined) return named;
  const path = join(source.local.path, "config.json");
  if (!existsSync(path)) return undefined; // of another builder, or a GGUF
  try {
    const said = JSON.parse(readFileSync(path, "utf8")) as { architectures?: unknown };
    const [first] = Array.isArray(said.architectures) ? (said.architectures as unknown[]) : [];
    return typeof first === "string" ? first : undefined;
  } catch {
    return undefined; // `fetch` says what is wrong with it
  }
}

/** Steps of a recipe that cannot work on a model of this architecture. */
export function layoutProblems(recipe: Recipe, architecture: string | undefined, file: string): Problem[] {
  const needed = neededFor(recipe).filter((path) => path.startsWith("steps."));
  if (layoutOf(architecture) === undefined)
    return needed
      .filter((path) => path !== "steps.prune.ffnWidths")
      .map((path) => ({
        where: `${file}: ${path}`,
        what: `cannot work on a model of the architecture ${architecture}, whose layers are not a Llama's`,
        remedy: `leave it out, or take a base of one of these: ${layoutNames}`,
      }));
  if (takesWidths(architecture) || !needed.includes("steps.prune.ffnWidths")) return [];
  return [
    {
      where: `${file}: steps.prune.ffnWidths`,
      what: `llama.cpp takes one FFN width for all layers of a ${architecture}`,
      remedy: "leave it out",
    },
  ];
}
