import * as pulumi from "@pulumi/pulumi";
import type { Recap } from "../../ansible/progress.ts";
import type { PlaybookArgs, PlaybookOutcome } from "./playbook-resource.ts";

/**
 * An Ansible playbook, run for one host. It runs when an input changed, or when `refresh` found the host to differ from
 * what the playbook makes of it.
 */
export class Playbook extends pulumi.CustomResource {
  /** What the last run did, in figures. */
  declare readonly recap: pulumi.Output<Recap>;
  /** What the play reported with `set_stats`. */
  declare readonly results: pulumi.Output<Record<string, unknown>>;
  /** How the host differed at the last `refresh`, one line each; empty when it did not. */
  declare readonly drift: pulumi.Output<string[]>;
  /** How the last run ended. */
  declare readonly outcome: pulumi.Output<PlaybookOutcome>;

  constructor(name: string, args: PlaybookArgs, options?: pulumi.CustomResourceOptions) {
    const inputs = { vars: {}, files: [], ...args, secretVars: pulumi.secret(args.secretVars ?? {}) };
    const outputs = {
      claim: undefined,
      recap: undefined,
      results: undefined,
      drift: undefined,
      outcome: undefined,
    };
    super("pipress:index:Playbook", name, { ...inputs, ...outputs }, options);
  }
}
