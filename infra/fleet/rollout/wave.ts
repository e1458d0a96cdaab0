import * as pulumi from "@pulumi/pulumi";
import type { WaveArgs } from "./wave-resource.ts";

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
    super("pipress:index:Wave", name, { ...args, failed: undefined, skipped: undefined }, options);
  }
}
