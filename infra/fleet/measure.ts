import { formatBytes, formatDuration } from "../../common/units.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import type { ServedFile } from "../ansible/content-server.ts";
import { closeConnections } from "../ansible/run.ts";
import { sudoVars } from "../ansible/sudo-password.ts";
import type { HostConfig } from "../config/hosts.ts";
import type { ResourceLog } from "../plugin/handler.ts";
import { predictedSpeeds } from "../prediction/board-speeds.ts";
import type { MeasuredRow } from "../prediction/measured-rows.ts";
import { formatSpeed } from "../prediction/speed.ts";
import type { MultipliedWeights } from "../prediction/weights.ts";
import { remedyFor } from "./rollout/release-files.ts";
import { runOnHost } from "./rollout/playbook-resource.ts";
import { reach } from "./choose-hosts.ts";

/** How much llama-bench does: tokens of a prompt and of an answer, and how many times each. */
interface Sizes {
  prompt: number;
  generate: number;
  repetitions: number;
}

/** What published rows have, so that ours can be set beside them. */
const comparable: Sizes = { prompt: 512, generate: 128, repetitions: 2 };
/** On an emulated Pi, whose figures nobody compares with anything. */
const small: Sizes = { prompt: 16, generate: 8, repetitions: 1 };
/** Seconds that llama-bench may take where nothing is predicted: on an emulated Pi, and of a measurement that runs already. */
const UNPREDICTED_LIMIT = 4 * 3600;
/** How many times as long as predicted it may take, and how many seconds more: a card may take minutes to read a model. */
const MARGIN = 4;
const LOAD_SECONDS = 600;

/** A model as its file on the host describes it. */
export interface DescribedModel extends MultipliedWeights {
  name: string;
  type: string;
  parameters: number;
  fileBytes: number;
}

/** What would be measured on a host; only `running` where a measurement is at work there already. */
export interface Subject {
  running: boolean;
  /** The release that serves. */
  release?: string;
  threads?: number;
  model?: DescribedModel;
}

/** In what other way a board is measured besides. */
export interface Beside {
  /** With llama.cpp's own kernels. */
  stock?: true;
  /** With so many threads. */
  threads?: number;
}

/** What `ansible/measure.yml` reports; null for what the board does not tell. */
export interface Outcome {
  model: DescribedModel;
  threads: number;
  build: number;
  /** Tokens per second. */
  prompt: number;
  generation: number;
  /** The same in another way, where that was measured too: with llama.cpp's own kernels, or other threads. */
  beside: { prompt: number; generation: number; threads: number } | null;
  board: string | null;
  /** When it was built. */
  bootloader: string | null;
  governor: string | null;
  throttled: number | null;
  celsius: number | null;
  megahertz: number | null;
}

/** A host of a stack, as it is measured. */
export class HostMeasurement {
  readonly #sizes: Sizes;
  readonly #bench: ServedFile;

  /**
   * @param state ids of the stack, undefined before its first `up`, and of its virtual hosts by name
   */
  constructor(
    private readonly host: HostConfig,
    private readonly state: { stackId: string | undefined; virtualPis: ReadonlyMap<string, string> },
    { llamaCpp: { release } }: Toolchain,
    private readonly log: ResourceLog,
    private readonly beside: Beside = {},
  ) {
    this.#sizes = this.isEmulated ? small : comparable;
    this.#bench = { ...release.files["llama-bench"], remedy: remedyFor("llama-server") };
  }

  /** An emulated board says nothing about a real one. */
  get isEmulated(): boolean {
    return "virtual" in this.host;
  }

  /** Looks what would be measured, and changes nothing. @throws UserError where nothing could be */
  async look(signal: AbortSignal): Promise<Subject> {
    // What its tasks are called is what they would do.
    this.log.status(`${this.host.name}: looking at what it serves`);
    const log = { ...this.log, status: () => undefined };
    const run = { check: true, limit: UNPREDICTED_LIMIT, log };
    const { results } = await this.#play("ansible/measure.yml", run, signal);
    return results.subject as Subject;
  }

  /** Predicted seconds for which the server is stopped; undefined where nothing is predicted. */
  secondsFor({ model }: Subject): number | undefined {
    if (model === undefined || this.isEmulated) return undefined;
    const { prompt, generate, repetitions } = this.#sizes;
    // llama-bench reads each prompt once more, to warm up.
    const seconds =
      ((repetitions + 1) * prompt) / predictedSpeeds.prompt(model).tokensPerSecond +
      (repetitions * generate) / predictedSpeeds.generation(model).tokensPerSecond;
    return Object.keys(this.beside).length > 0 ? 2 * seconds : seconds;
  }

  /** Measures; the server is stopped meanwhile. Whatever ends this, the host starts it again. */
  async measure(subject: Subject, signal: AbortSignal): Promise<Outcome> {
    const seconds = this.secondsFor(subject);
    const limit = seconds === undefined ? UNPREDICTED_LIMIT : LOAD_SECONDS + Math.ceil(MARGIN * seconds);
    const { results } = await this.#play("ansible/measure.yml", { limit }, signal);
    return results.outcome as Outcome;
  }

  /** Cuts a measurement short; the server serves again when this ends. */
  async stop(signal: AbortSignal): Promise<void> {
    await this.#play("ansible/measure-stop.yml", {}, signal);
  }

  async #play(
    playbook: string,
    { check = false, limit = 0, log = this.log }: { check?: boolean; limit?: number; log?: ResourceLog },
    signal: AbortSignal,
  ) {
    const { stackId } = this.state;
    const { sha256, bytes } = this.#bench;
    const vars = {
      ...(stackId !== undefined && { pipress_owner: { id: stackId } }),
      pipress_bench: { sha256, bytes },
      pipress_measure: { ...this.#sizes, stock: false, ...this.beside, limit },
    };
    const host = await reach(this.host, this.state.virtualPis);
    const secretVars = sudoVars(this.host.sudoPassword);
    const run = { playbook, host, vars, secretVars, files: [this.#bench], check, concurrency: 1 };
    return runOnHost(run, log, signal).finally(closeConnections);
  }
}

/** The row of a stack's file that an outcome makes. */
export function rowOf(host: string, outcome: Outcome, date: Date): MeasuredRow {
  const { model, threads, build, prompt, generation } = outcome;
  const { name, type, parameters, fileBytes, layers, attentionWidth, blocks, output } = model;
  return {
    ...{ host, date: date.toISOString().replace(/\.\d+/, ""), board: outcome.board ?? "", model: name, type },
    ...{ parameters, fileBytes, threads, build, prompt, generation },
    weights: { layers, attentionWidth, blocks, output },
    celsius: outcome.celsius ?? undefined,
    throttled: outcome.throttled ?? undefined,
    governor: outcome.governor ?? undefined,
    megahertz: outcome.megahertz ?? undefined,
    bootloader: outcome.bootloader ?? undefined,
  };
}

/** `Llama 3.2 1B (Q4_K_M, 808 MB)`. */
export function describeModel({ name, type, fileBytes }: DescribedModel): string {
  return `${name} (${type}, ${formatBytes(fileBytes)})`;
}

/**
 * What to say before llama-server is stopped for a measurement.
 * @param seconds how long it will take; undefined where nobody knows
 */
export function describeStop(
  host: string,
  { model }: Subject,
  seconds: number | undefined,
  hasEndpoint: boolean,
): string {
  const what = model === undefined ? "a model" : describeModel(model);
  const long =
    seconds === undefined ? "" : `, for about ${formatDuration(seconds)} and the time it takes to load`;
  const balancer = hasEndpoint ? "; the load balancer sends it nothing meanwhile" : "";
  return `${host}: to measure ${what}, llama-server is stopped there${long}${balancer}`;
}

/** What was measured, beside what is predicted for a Raspberry Pi 4, as lines. */
export function describeOutcome(host: string, outcome: Outcome): string {
  const { model, threads, build, beside, board, bootloader, governor, celsius, megahertz } = outcome;
  const conditions = [
    board ?? "a board that does not say what it is",
    ...(bootloader === null ? [] : [`bootloader of ${bootloader}`]),
    `${threads} threads`,
    `llama.cpp b${build}`,
    ...(celsius === null ? [] : [`at most ${celsius.toFixed(0)} °C`]),
    ...(megahertz === null ? [] : [`${megahertz} MHz`]),
    ...(governor === null ? [] : [`governor ${governor}`]),
  ];
  const isThreads = beside !== null && beside.threads !== threads;
  const other = isThreads ? `${beside.threads} threads` : "llama.cpp's own kernels";
  const flags = isThreads ? `threads: ${beside.threads}` : "flags: { --no-repack: true }";
  const figure = (kind: "prompt" | "generation"): string =>
    `  ${kind.padEnd(10)}  ${formatSpeed(outcome[kind])} tokens/s; ` +
    `predicted for a Raspberry Pi 4: ${formatSpeed(predictedSpeeds[kind](model).tokensPerSecond)}` +
    (beside === null
      ? ""
      : `; with ${other} ${formatSpeed(beside[kind])}, ` +
        `${(outcome[kind] / beside[kind]).toFixed(2)} times that`);
  return [
    `${host}: ${describeModel(model)}`,
    `  ${conditions.join(", ")}`,
    figure("prompt"),
    figure("generation"),
    ...(beside !== null && beside.generation > outcome.generation
      ? [`  \`server: { ${flags} }\` on that host takes ${other}`]
      : []),
  ].join("\n");
}
