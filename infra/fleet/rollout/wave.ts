import * as pulumi from "@pulumi/pulumi";
import type { MachineInput } from "../../ssh/machine.ts";
import type { PlaybookOutcome } from "./playbook-resource.ts";

/** A host of a wave, and what came of its playbook. */
export interface WaveMemberArgs {
  host: pulumi.Input<MachineInput>;
  /** Digest of the release that it is to serve. */
  release: pulumi.Input<string>;
  outcome: pulumi.Input<PlaybookOutcome>;
  /** Variables of the probe. */
  vars?: pulumi.Input<Record<string, unknown>>;
}

/** Inputs of a wave. */
export interface WaveArgs {
  members: pulumi.Input<WaveMemberArgs>[];
  /** Whether its hosts have only been brought the release: nothing serves it yet. @default false */
  staging?: pulumi.Input<boolean>;
  /** Hosts that may fail without stopping the rollout. */
  maxFailures: pulumi.Input<number>;
  /** Seconds for which the wave has to stay healthy; 0 looks at no host again. */
  soakSeconds: pulumi.Input<number>;
  /** Playbook that fails on a host that is not healthy any more, as a path inside the repository. */
  probe: pulumi.Input<string>;
  /** Maximum concurrent probes. */
  concurrency: pulumi.Input<number>;
  /** Names of the hosts in the waves before this one. */
  served?: pulumi.Input<string[]>;
  /** Names of the hosts in the waves after this one. */
  waiting?: pulumi.Input<string[]>;
}

/**
 * The end of a wave of hosts: what depends on it begins when the wave has got its release and stayed healthy with
 * it. Fails, and so stops what comes after, when more hosts fail than may.
 */
export class Wave extends pulumi.CustomResource {
  /** Hosts that failed and were few enough to go on. */
  declare readonly failed: pulumi.Output<string[]>;
  /** Hosts that were down. */
  declare readonly skipped: pulumi.Output<string[]>;

  constructor(name: string, args: WaveArgs, options?: pulumi.CustomResourceOptions) {
    super(
      "pipress:index:Wave",
      name,
      { staging: false, served: [], waiting: [], ...args, failed: undefined, skipped: undefined },
      options,
    );
  }
}
