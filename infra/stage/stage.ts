import * as command from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { PlannedStage } from "./planned.ts";
import type { Builder } from "./builder.ts";
import { stageSpec, type JobResult, type StageJob } from "./job.ts";

/** Inputs of a stage: where it stands in the plan, and who runs it. */
export interface StageArgs {
  stage: PlannedStage;
  /** The run the artifact is expected from, see `Builder.runOf`. */
  run: string;
  builder: Builder;
  /** The store as the configuration names it, or `default`. */
  store: string;
  /** Upstream stages, which must be done first. */
  upstream: readonly Stage[];
  /** What else must have gone well before it runs. */
  after?: readonly pulumi.Resource[];
}

/**
 * Starts `infra/builder/run-stage.ts` without naming a folder. A command without `dir` runs in its plugin's folder, which is
 * the program's, `stacks/`, as the engine starts plugins there (seen with 3.250, also with `pulumi -C`). Node looks for
 * `#run-stage` in the nearest package.json above that folder, and for tsx in the node_modules beside it. So the command is the
 * same in every clone, and the official CLI runs it too, without any variable of ours.
 */
export const launcher = `node --import tsx --eval 'import("#run-stage")'`;

/** One stage of a recipe: its artifact is in the store when this resource is up to date. */
export class Stage extends pulumi.ComponentResource {
  /** Known at preview when the artifact is in the store already. */
  readonly result: pulumi.Output<JobResult>;
  readonly key: pulumi.Output<string>;

  constructor(name: string, args: StageArgs, options?: pulumi.ComponentResourceOptions) {
    super("pipress:stage:Stage", name, {}, options);
    const { stage, run, builder, store, upstream, after = [] } = args;
    const { address, environment, dependsOn = [] } = builder.connectionFor(stage);
    const job: StageJob = { spec: stageSpec(stage, run), store, ...(address && { builder: address }) };
    // Submits the stage unless it is at work or done, attaches to it, and prints its `JobResult`.
    const submitted = new command.local.Command(
      name,
      {
        create: launcher,
        update: launcher,
        stdin: JSON.stringify(job),
        environment: environment ?? {},
        addPreviousOutputInEnv: false,
        // Progress comes on standard error; the one JSON document on standard output is for the state.
        logging: command.local.Logging.Stderr,
      },
      { parent: this, dependsOn: [...upstream, ...after, ...dependsOn] },
    );
    this.key = pulumi.output(stage.key);
    this.result =
      stage.artifact === undefined
        ? submitted.stdout.apply((stdout) => JSON.parse(stdout) as JobResult)
        : pulumi.output(stage.artifact as JobResult);
    this.registerOutputs({ key: this.key });
  }
}
