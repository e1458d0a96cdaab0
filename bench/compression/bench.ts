import type { Manifest } from "../../infra/store/manifest.ts";
import type { Recipe } from "../../infra/recipe/recipe.ts";
import { log, StepFailed, type Runner, type Step } from "./runner.ts";

/** Of the encyclopedia as much as leaves the news their weight in the mixed text. */
const MIXED_SIZE = "400 kB";

/** What a model loses: perplexity on the evaluation text, and KL divergence from the base, nats per token. */
export type Quality = Record<"perplexity" | "kld", number>;

/** What every section builds on: the base model, texts, the base's own evaluation, and the steps that lead to a figure. */
export class Bench {
  readonly base: Step;
  /** Wikipedia for calibration, the second half of the news for evaluation: two sources. */
  readonly apart: Step;
  /** Wikipedia and the first half of the news for calibration, the same evaluation text. */
  readonly mixed: Step;
  /** The base as an f16 GGUF. */
  readonly full: Step;
  readonly imatrix: Step;
  /** The base's evaluation: the reference of all KL divergences. */
  private readonly reference: Step;

  /**
   * @param recipe whose model and texts are taken; its evaluation text has to be a single source
   * @param chunks rows of evaluation text that each figure is measured on
   * @param toBase what is made of the recipe's model to be the base of all cases
   */
  constructor(
    readonly runner: Runner,
    readonly recipe: Recipe,
    private readonly chunks: number,
    toBase = (fetched: Step): Step => fetched,
  ) {
    const { calibration, evaluation: sources } = recipe.datasets;
    const [news] = sources;
    const evaluation = [{ ...news, part: { from: 0.5, to: 1 } }];
    const both = [
      ...calibration.map((text) => ({ ...text, maxSize: MIXED_SIZE })),
      { ...news, part: { from: 0, to: 0.5 } },
    ];
    this.base = toBase(runner.fetch("fetch", recipe.base));
    const withChats = (name: string, datasets: Step): Step =>
      runner.addChats(`add-chats-${name}`, { model: this.base, datasets });
    this.apart = withChats("apart", runner.fetch("fetch-dataset", { calibration, evaluation }));
    this.mixed = withChats("mixed", runner.fetch("fetch-dataset", { calibration: both, evaluation }));
    this.full = this.convert("base", this.base);
    this.imatrix = this.importanceMatrix("base", this.full);
    this.reference = this.evaluate("base", { model: this.full, datasets: this.apart });
  }

  /** A model folder as an f16 GGUF. */
  convert(name: string, model: Step): Step {
    return this.runner.stage(`convert-${name}`, "convert", { type: "f16" }, { model });
  }

  /** Of a GGUF in full precision. */
  importanceMatrix(name: string, model: Step): Step {
    const params = this.recipe.steps.imatrix ?? {};
    return this.runner.stage(`imatrix-${name}`, "imatrix", params, { model, datasets: this.apart });
  }

  async basePerplexity(): Promise<number> {
    return Number((await this.runner.measure(this.reference)).metrics.perplexity);
  }

  /** Measures a GGUF against the base on the evaluation text, and sheds it; undefined, said why, where it cannot be made. */
  async quality(name: string, gguf: Step): Promise<Quality | undefined> {
    const metrics = await this.evaluated(name, gguf);
    return metrics && { perplexity: Number(metrics.perplexity), kld: Number(metrics.kld) };
  }

  /** All figures of that. */
  async evaluated(name: string, gguf: Step): Promise<Manifest["metrics"] | undefined> {
    const { apart, reference } = this;
    const evaluation = this.evaluate(name, { model: gguf, datasets: apart, reference });
    const manifest = await this.runner.measure(evaluation).catch((error: unknown) => {
      if (!(error instanceof StepFailed)) throw error;
      log(`no figures for ${name}: ${error.message}`);
      return undefined;
    });
    await this.runner.shed(gguf);
    return manifest?.metrics;
  }

  /** As a recipe's evaluation, without speed, continuations and questions: text tells methods apart in less time. */
  private evaluate(name: string, inputs: Record<string, Step>): Step {
    const params = { contextLength: 512, chunks: this.chunks, benchTokens: 4, prompts: [], questions: 0 };
    return this.runner.stage(`evaluate-${name}`, "evaluate", params, inputs);
  }
}
