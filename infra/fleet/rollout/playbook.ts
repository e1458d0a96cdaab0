import * as pulumi from "@pulumi/pulumi";
import { ansibleDigest } from "../../ansible/digest.ts";
import type { Recap } from "../../ansible/progress.ts";
import type { MachineInput } from "../../ssh/machine.ts";
import type { PlaybookOutcome } from "./playbook-resource.ts";
import type { ReleaseFile } from "./release-files.ts";

/** Inputs of a playbook. */
export interface PlaybookArgs {
  /** Playbook to run, as a path inside the repository. @example "ansible/site.yml" */
  playbook: pulumi.Input<string>;
  /** Playbook that `destroy` runs, with the same variables. Without it, `destroy` leaves the host as it is. */
  removal?: pulumi.Input<string>;
  /** Digest of everything the playbook is made of; a new one runs it again. @default that of `ansible/` */
  contentDigest?: pulumi.Input<string>;
  /** The host and how it is reached; its user needs passwordless sudo. */
  host: pulumi.Input<MachineInput>;
  /** Variables of the play. */
  vars?: pulumi.Input<Record<string, unknown>>;
  /** Variables that say how the play does its work and not what comes of it: a change of them runs nothing. */
  routeVars?: pulumi.Input<Record<string, unknown>>;
  /** Variables that are encrypted in state and never on a command line or in a log. */
  secretVars?: pulumi.Input<Record<string, unknown>>;
  /** Served to the host while the play runs, through its own SSH connection (variable `pipress_socket`). */
  files?: pulumi.Input<pulumi.Input<ReleaseFile>[]>;
  /** Whether a failed run fails the resource, or is reported in `outcome` for others to judge. @default "throw" */
  failures?: pulumi.Input<"throw" | "report">;
  /** What a host that does not answer means: a failed run, or one for the next `up`. @default "fail" */
  unreachable?: pulumi.Input<"fail" | "skip">;
  /** Plays of all hosts that may run at the same time as this one. @default 10 */
  concurrency?: pulumi.Input<number>;
  /** What this machine sends to all hosts together at most. @default no limit */
  bytesPerSecond?: pulumi.Input<number>;
}

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
    const inputs = {
      vars: {},
      files: [],
      ...args,
      contentDigest: args.contentDigest ?? ansibleDigest(),
      secretVars: pulumi.secret(args.secretVars ?? {}),
    };
    const outputs = { recap: undefined, results: undefined, drift: undefined, outcome: undefined };
    super("pipress:index:Playbook", name, { ...inputs, ...outputs }, options);
  }
}
