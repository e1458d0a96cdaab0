import type { JobResult } from "../builder/job.ts";
import { evaluations } from "../plan/graph.ts";

/** A stage as the report lists it. */
export interface StageFigures {
  name: string;
  key: string;
  /** How long it worked when it made the artifact. */
  seconds: number;
}

/** The model at one point of its way from the base to the release. */
export interface ModelFigures {
  label: "base" | "pruned" | "recovered" | "control" | "quantized";
  fileBytes: number;
  /** On held-out text, and its standard error. */
  perplexity: number;
  perplexityError: number;
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
} as const;

/** Collects the evaluations of a recipe, in the order in which the model went through them. */
export function modelFigures(results: ReadonlyMap<string, JobResult>): ModelFigures[] {
  return evaluations.flatMap((name) => {
    const metrics = results.get(name)?.metrics;
    if (metrics === undefined) return [];
    return [
      {
        label: labels[name],
        fileBytes: Number(metrics.fileBytes),
        perplexity: Number(metrics.perplexity),
        perplexityError: Number(metrics.perplexityError),
      },
    ];
  });
}
