import { formatTable } from "../../common/plain-table.ts";
import { formatBytes, formatDuration } from "../../common/units.ts";
import { catalogued, readCatalogue } from "../model/catalogue.ts";
import { type Model } from "../model/model.ts";
import { modelGraph } from "../plan/graph.ts";
import { loadRecipe, recipeNames } from "../recipe/recipe.ts";
import { firstTokenSeconds } from "./describe.ts";
import { families } from "./families.ts";
import { memoryMax, SYSTEM_BYTES } from "./memory.ts";
import { predict } from "./predict.ts";
import { formatSpeed } from "./speed.ts";

/** What a Raspberry Pi 4 is predicted to make of a model, with a model's own settings of llama-server. */
export interface Choice {
  name: string;
  /** Of the catalogue, for `pipress:model`, one that chats or embeds; or a recipe, for `pipress:recipe`, that makes it first. */
  kind: "model" | "embeds" | "recipe";
  /** Type of the file, as llama-quantize calls it; `mixed` where a search decides. */
  type: string;
  fileBytes: number;
  /** Memory of the board, in bytes, that holds the model, its cache, and the system. */
  neededBytes: number;
  /** That it generates, or reads where it embeds. */
  tokensPerSecond: number;
  /** To the first token of an answer to a page of text; undefined of a model that embeds. */
  firstTokenSeconds: number | undefined;
  /** As its makers scored the unquantized model; undefined where they did not, or nobody here has read it. */
  score?: { benchmark: string; percent: number };
  license: string;
}

/** What of a board's memory the kernel has: 3.70 GiB of 4. The rest is the firmware's, and the kernel's own. */
const KERNEL_SHARE = 0.925;

/** Bytes that the kernel of a board has, which is sold by its nominal memory. */
export function usableMemory(nominal: number): number {
  return nominal * KERNEL_SHARE;
}

/** Every model of the catalogue and every recipe of the repository, the fastest first, and behind them those that embed. */
export function choices(): Choice[] {
  const ready = Object.entries(readCatalogue().models).map(([name, entry]): Choice => {
    const { type, license, pooling } = entry;
    const kind = pooling === undefined ? "model" : "embeds";
    return { ...choiceOf(catalogued(name, entry)), kind, type, license };
  });
  const made = recipeNames().map((name): Choice => {
    const recipe = loadRecipe(name);
    const { quantize } = recipe.steps;
    const license = recipe.base.license?.id ?? ready.find((other) => other.name === name)?.license ?? "";
    return { ...choiceOf(recipe), kind: "recipe", type: quantize.type ?? "mixed", license };
  });
  const embeds = ({ kind }: Choice): number => Number(kind === "embeds");
  return [...ready, ...made].sort((a, b) => embeds(a) - embeds(b) || b.tokensPerSecond - a.tokensPerSecond);
}

function choiceOf(model: Model): Omit<Choice, "kind" | "type" | "license"> {
  const { name, server } = model;
  const stages = modelGraph(model).map((node) => ({ ...node, artifact: undefined }));
  const prediction = predict(model, stages, server);
  if (prediction === undefined) throw new Error(`nothing says the shape of ${name}`);
  const { shape, release } = prediction;
  const [score] = families.flatMap(({ benchmark, members }) =>
    members.filter(({ recipe }) => recipe === name).map((member) => ({ benchmark, percent: member.score })),
  );
  return {
    name,
    fileBytes: release.fileBytes,
    neededBytes: memoryMax(shape, release.fileBytes, server) + SYSTEM_BYTES,
    tokensPerSecond: release.tokensPerSecond,
    firstTokenSeconds: shape.pooling === undefined ? firstTokenSeconds(prediction) : undefined,
    ...(score && { score }),
  };
}

/** What somebody asks of a model. */
export interface Wanted {
  /** That the kernel of the smallest board has. @default no limit */
  bytes?: number | undefined;
  /** Least tokens per second. @default no limit */
  speed?: number | undefined;
}

/** Those that a board has room for, and that are fast enough there. */
export function fitting(all: readonly Choice[], { bytes = Infinity, speed = 0 }: Wanted): Choice[] {
  return all.filter(({ neededBytes, tokensPerSecond }) => neededBytes <= bytes && tokensPerSecond >= speed);
}

/** A table of them, a line each where the terminal is wide enough. */
export function formatChoices(shown: readonly Choice[]): string {
  return formatTable(choiceHead, shown.map(cellsOf), figures);
}

/** The same as answers to a question: a heading, and of each one line, short enough for a terminal of 80 columns. */
export function choiceLines(shown: readonly Choice[]): string[] {
  const kept = ["name", "file", "memory", "tokens/s", "first token", "quality"];
  const cells = shown.map((choice) =>
    cellsOf(choice).filter((_, column) => kept.includes(choiceHead[column] ?? "")),
  );
  return formatTable(kept, cells, figures, Infinity).split("\n");
}

const figures = ["file", "memory", "tokens/s", "first token"];

export const choiceHead = [
  ...["name", "kind", "type", "file", "memory", "tokens/s", "first token", "quality", "license"],
];

/** What a table says of one. */
export function cellsOf(choice: Choice): string[] {
  const { name, kind, type, score, license } = choice;
  return [
    ...[name, kind, type, formatBytes(choice.fileBytes), formatBytes(choice.neededBytes)],
    formatSpeed(choice.tokensPerSecond),
    choice.firstTokenSeconds === undefined ? "–" : formatDuration(choice.firstTokenSeconds),
    score === undefined ? "" : `${score.benchmark} ${score.percent.toFixed(0)} %`,
    license,
  ];
}
