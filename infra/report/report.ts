import type { JobResult } from "../builder/job.ts";
import { baselineEvaluations, evaluations } from "../plan/graph.ts";

/** A stage as the report lists it. */
export interface StageFigures {
  name: string;
  key: string;
  /** How long it worked when it made the artifact. */
  seconds: number;
}

/** The model at one point of its way from the base to the release, or the unpruned model as a rival of that. */
export interface ModelFigures {
  label: (typeof labels)[keyof typeof labels];
  fileBytes: number;
  /** On held-out text, and its standard error. */
  perplexity: number;
  perplexityError: number;
  /** Mean KL divergence from the base model per token, in nats; undefined of the base itself. */
  kld?: number;
}

/** The release on one host, as its gate measured it. */
export interface HostFigures {
  host: string;
  endpoint: string;
  tokensPerSecond: number;
  loadSeconds: number;
  answer: string;
  warnings: string[];
}

/** The figures of one stack: what `npm start` prints and `pulumi stack output report` returns. */
export interface Report {
  recipe: string;
  release: string;
  stages: StageFigures[];
  models: ModelFigures[];
  hosts: HostFigures[];
}

const labels = {
  "evaluate-base": "base",
  "evaluate-pruned": "pruned",
  "evaluate-recovered": "recovered",
  "evaluate-control": "control",
  evaluate: "quantized",
  "evaluate-baseline": "unpruned, of that size",
  "evaluate-baseline-speed": "unpruned, of that speed",
} as const;

/** Collects the evaluations of a recipe, in the order in which the model went through them; its rivals come last. */
export function modelFigures(results: ReadonlyMap<string, JobResult>): ModelFigures[] {
  return [...evaluations, ...baselineEvaluations].flatMap((name) => {
    const metrics = results.get(name)?.metrics;
    if (metrics === undefined) return [];
    return [
      {
        label: labels[name],
        fileBytes: Number(metrics.fileBytes),
        perplexity: Number(metrics.perplexity),
        perplexityError: Number(metrics.perplexityError),
        ...(typeof metrics.kld === "number" && { kld: metrics.kld }),
      },
    ];
  });
}
