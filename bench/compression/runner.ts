import { randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import type { Manifest } from "../../infra/store/manifest.ts";
import type { JobSpec } from "../../infra/stage/job.ts";
import { UserError } from "../../common/user-error.ts";
import { repoRoot } from "../../common/paths.ts";
import type { Recipe } from "../../infra/recipe/recipe.ts";
import { readStageCode } from "../../infra/stage/code.ts";
import { stageKey } from "../../infra/stage/key.ts";
import { selectPins, toolPins } from "../../infra/stage/tools.ts";
import { FileStore } from "../../infra/store/file-store.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import { withDefaults } from "../step-defaults.ts";

const modelsRoot = join(repoRoot, "models");
const PEERS = "pipress.bench.peers";
/** A peer that takes longer has no figures: none is known to end for every model. */
const PEER_MINUTES = 30;

type Inputs = Readonly<Record<string, Step>>;

/** A stage of the project, or a peer in its place, as its runner reads it. Nothing has run yet. */
export interface Step extends Omit<JobSpec, "stage" | "inputs" | "run"> {
  /** Or a peer's module. */
  stage: string;
  isPeer: boolean;
  inputs: Inputs;
}

/** A step that ended with an error of its own: the case that it belongs to has no figures, the others do. */
export class StepFailed extends Error {}

/**
 * Runs stages as the product does, by key into a store of the bench's own, and only those whose figures somebody asks
 * for: what lies upstream of figures that are known is not even looked at.
 */
export class Runner {
  private readonly store: FileStore;
  private readonly jobs: string;
  private readonly pins: Record<string, string>;
  /** Peers get threads that sleep while they wait, as jobs do: both are measured under the same conditions. */
  private readonly execa = execa({
    env: {
      PYTHONPATH: modelsRoot,
      OMP_WAIT_POLICY: "PASSIVE",
      GOMP_SPINCOUNT: "0",
      TOKENIZERS_PARALLELISM: "false",
    },
    reject: false,
    // Ctrl-C is for us to answer: a stage's process would leave its job at work.
    detached: true,
  });

  /** @param folder for store and jobs of the bench; deleting it costs time only */
  constructor(
    folder: string,
    private readonly recipe: Recipe,
    private readonly toolchain: Toolchain,
  ) {
    this.store = new FileStore(pathToFileURL(join(folder, "store")).href);
    this.jobs = join(folder, "jobs");
    this.pins = toolPins(toolchain, "requirements-dev.lock");
  }

  /** A stage without inputs; `params` are of a loaded recipe, and so whole. */
  fetch(stage: "fetch" | "fetch-dataset" | "fetch-gguf", params: object): Step {
    return this.step({ name: stage, stage, isPeer: false, params: { ...params }, inputs: {} });
  }

  /** The recipe's chats beside documents. */
  addChats(name: string, inputs: Inputs): Step {
    return this.step({ name, stage: "add-chats", isPeer: false, params: { ...this.recipe.chats }, inputs });
  }

  /**
   * A step of a recipe; `params` as one writes them, the schema fills in the rest.
   * @param added what the plan adds to the step's own
   */
  stage(
    name: string,
    stage: keyof Recipe["steps"],
    params: object,
    inputs: Inputs,
    added: object = {},
  ): Step {
    const whole = { ...withDefaults(this.recipe, stage, params), ...added };
    return this.step({ name, stage, isPeer: false, params: whole, inputs });
  }

  /** A module of `pipress.bench.peers` in the place of a stage. */
  peer(name: string, peer: string, params: Record<string, unknown>, inputs: Inputs): Step {
    return this.step({ name, stage: peer, isPeer: true, params, inputs });
  }

  private step(step: Pick<Step, "name" | "stage" | "isPeer" | "params" | "inputs">): Step {
    const { stage, isPeer, params, inputs } = step;
    const { llamaCpp } = this.toolchain;
    const { digest: code, tools } = readStageCode(stage, modelsRoot, isPeer ? PEERS : undefined);
    const toolVersions = selectPins(this.pins, tools);
    return {
      ...step,
      key: stageKey({ stage, params, code, tools: toolVersions, inputs: keysOf(inputs) }),
      forRelease: false,
      store: this.store.url,
      jobs: this.jobs,
      tools: { llamaCppBin: llamaCpp.hostBin, convertScript: llamaCpp.convertScript },
      toolVersions,
    };
  }

  /**
   * A step's manifest, with its metrics; runs what is missing for it.
   * @throws StepFailed when it, or what it builds on, fails
   */
  async measure(step: Step): Promise<Manifest> {
    const known = await this.store.manifest(step.key);
    return known ?? this.make(step);
  }

  /** Removes the files of steps that no later one needs; their manifests stay. */
  async shed(...steps: readonly Step[]): Promise<void> {
    const files = await Promise.all(steps.map((step) => this.filesOf(step)));
    await Promise.all(files.flat().map((path) => path && rm(path, { force: true })));
  }

  /** Sees to it that a step's files are there. @returns their paths */
  async provide(step: Step): Promise<string[]> {
    const files = await this.filesOf(step);
    if (files?.every((path) => existsSync(path))) return files;
    await rm(this.store.locate(step.key), { recursive: true, force: true });
    await this.make(step);
    return (await this.filesOf(step)) ?? [];
  }

  /** Paths of the files that a step made, whether they are still there or not; undefined where it has not run. */
  private async filesOf({ key }: Step): Promise<string[] | undefined> {
    const manifest = await this.store.manifest(key);
    return manifest && Object.keys(manifest.files).map((path) => join(this.store.locate(key), path));
  }

  private async make(step: Step): Promise<Manifest> {
    for (const input of Object.values(step.inputs)) await this.provide(input);
    await this.run(step);
    const manifest = await this.store.manifest(step.key);
    if (manifest === undefined) throw new StepFailed(`${step.name} left nothing in ${this.store.url}`);
    return manifest;
  }

  private async run({ isPeer, inputs, ...step }: Step): Promise<void> {
    const { python } = this.toolchain;
    const module = isPeer ? ["pipress.bench.peer"] : ["pipress", "stage", "run"];
    const child = this.execa(python, ["-m", ...module], {
      input: JSON.stringify({ ...step, run: randomUUID(), inputs: keysOf(inputs) }),
      stdout: "ignore",
      stderr: ["inherit", "pipe"],
      timeout: isPeer ? PEER_MINUTES * 60_000 : 0,
    });
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      if (isPeer) child.kill();
      else void this.execa`${python} -m pipress jobs --dir ${this.jobs} stop ${step.key.slice(0, 12)}`;
    };
    process.once("SIGINT", stop).once("SIGTERM", stop);
    const { exitCode, stderr, timedOut } = await child.finally(() =>
      process.off("SIGINT", stop).off("SIGTERM", stop),
    );
    if (stopped)
      throw new UserError({
        where: "bench:compression",
        what: `stopped in ${step.name}; what is measured is kept`,
        remedy: "run the same command again: it goes on from there",
      });
    if (timedOut) throw new StepFailed(`not done in ${String(PEER_MINUTES)} minutes, ended`);
    if (exitCode !== 0) throw new StepFailed(failureOf(step.name, stderr));
  }
}

function keysOf(inputs: Inputs): Record<string, string> {
  return Object.fromEntries(Object.entries(inputs).map(([as, { key }]) => [as, key]));
}

/** What the bench is at, on standard error. */
export function log(line: string): void {
  console.error(`bench:compression: ${line}`);
}

/** The line in which a stage or peer says why it failed. */
export function failureOf(name: string, stderr: string): string {
  const own = stderr
    .split("\n")
    .filter((line) => line.startsWith(`${name}: `) && !line.startsWith(`${name}: log: `));
  return own.at(-1)?.slice(name.length + 2) ?? "it ended without a word";
}
