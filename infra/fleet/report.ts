import type { JobResult } from "../stage/job.ts";
import { baselineEvaluations, evaluations } from "../plan/graph.ts";
import type { PlaybookOutcome } from "./rollout/playbook-resource.ts";

/** A stage as the report lists it. */
export interface StageFigures {
  name: string;
  key: string;
  /** How long it worked when it made the artifact. */
  seconds: number;
}

/** The model at one point of its way from the base to the release, or the unpruned base as its baseline. */
export interface ModelFigures {
  label: (typeof labels)[keyof typeof labels];
  fileBytes: number;
  /** On held-out text, and its standard error. */
  perplexity: number;
  perplexityError: number;
  /** Mean KL divergence from the base model per token, in nats; undefined of the base itself. */
  kld?: number;
}

/** What the play on a host reports back (`set_stats` of the role server), its health check's figures among it. */
export interface ServerResults {
  /** Digest of what it serves. */
  release: string;
  /** That are generated, or read where the model embeds. */
  tokensPerSecond: number;
  /** Of the release that this one took the place of. */
  tokensPerSecondBefore?: number;
  loadSeconds: number;
  /** To the smoke test; of an embedding model the other: how many numbers a vector has. */
  answer?: string;
  dimensions?: number;
  systemPrompts?: SystemPromptFigures[];
  warnings?: string[];
}

/** A system prompt as a host's health check found it. */
export interface SystemPromptFigures {
  name: string;
  tokens: number;
  /** From what the model thinks behind the prompt that the host has read itself, in nats; absent where the state was not taken. */
  kld?: number;
  /** Why it was not. */
  problem?: string;
}

/** The release on one host, as far as its last play reported. */
export interface HostFigures extends Partial<ServerResults> {
  host: string;
  /** Base URL for OpenAI clients, with `/v1`. */
  baseUrl: string;
  warnings: string[];
  /** Why the host did not get the release; absent where it did. */
  problem?: string;
}

/** The figures of one stack: what `npm start` prints and `pulumi stack output report` returns. */
export interface Report {
  /** `recipe smollm2-135m`, `model qwen3-0.6b`. */
  model: string;
  release: string;
  stages: StageFigures[];
  models: ModelFigures[];
  hosts: HostFigures[];
}

/** What a host's last play reported, and how that play ended. */
export function hostFigures(
  host: string,
  baseUrl: string,
  results: Partial<ServerResults>,
  outcome: PlaybookOutcome,
): HostFigures {
  const { release, tokensPerSecond, tokensPerSecondBefore, loadSeconds, answer, dimensions } = results;
  const { systemPrompts, warnings = [] } = results;
  const served = { release, tokensPerSecond, tokensPerSecondBefore, loadSeconds, answer };
  const { status, reason = "" } = outcome;
  return {
    host,
    baseUrl,
    ...served,
    ...(dimensions !== undefined && { dimensions }),
    ...(systemPrompts && { systemPrompts }),
    warnings,
    problem: status === "done" ? undefined : `${status}: ${reason}`,
  };
}

const labels = {
  "evaluate-base": "base",
  "evaluate-pruned": "pruned",
  "evaluate-recovered": "recovered",
  "evaluate-control": "control",
  "evaluate-ordinary": "quantized, ordinary",
  evaluate: "quantized",
  "evaluate-baseline": "baseline, same size",
  "evaluate-baseline-speed": "baseline, same speed",
} as const;

/** Collects the evaluations of a recipe, in the order in which the model went through them; baselines come last. */
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
        kld: typeof metrics.kld === "number" ? metrics.kld : undefined,
      },
    ];
  });
}
