import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import type { virtualPiInputs } from "./spec.ts";

type Inputs = z.input<typeof virtualPiInputs>;

/** Inputs of a virtual Pi; `spec.ts` says what each is. */
export type VirtualPiArgs = { [Name in keyof Inputs]: pulumi.Input<Inputs[Name]> };

/**
 * A Raspberry Pi 4 emulated on this machine: QEMU's Cortex-A72 with real systemd and sshd. It goes on running between
 * updates; `refresh` notices when it does not, and `destroy` leaves nothing of it.
 */
export class VirtualPi extends pulumi.CustomResource {
  /** Where its ports are: loopback of this machine. */
  declare readonly address: pulumi.Output<string>;
  declare readonly sshPort: pulumi.Output<number>;
  declare readonly user: pulumi.Output<string>;
  /** Private key that its user accepts, made for this machine alone. */
  declare readonly privateKeyFile: pulumi.Output<string>;
  /** Its public host key, as in known_hosts. */
  declare readonly hostKey: pulumi.Output<string>;
  /** Ports on this machine by the names in `forwards`. */
  declare readonly ports: pulumi.Output<Record<string, number>>;
  declare readonly running: pulumi.Output<boolean>;

  constructor(name: string, args: VirtualPiArgs, options?: pulumi.CustomResourceOptions) {
    const outputs = {
      address: undefined,
      sshPort: undefined,
      user: undefined,
      privateKeyFile: undefined,
      hostKey: undefined,
      ports: undefined,
      running: undefined,
    };
    super("pipress:index:VirtualPi", name, { ...args, forwards: args.forwards ?? {}, ...outputs }, options);
  }
}
